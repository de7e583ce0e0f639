/* Snapshots: what is read is what was written; any damage is an error; nothing half written ever stands in the
 * file's place. */
#include "index_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

static const rm_key128 HOME = {1, 2};

static char folder[] = "/tmp/remora-index-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/index", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder); /* fails if anything else was left there */
}

/* The world's index is written and read again in its place. */
static void turn_over(world *w)
{
    rm_index_options options = w->index->options;
    uint64_t sequence = 0;
    rm_index *again = NULL;
    assert_int_equal(rm_index_save(w->index, path, 4711), RM_OK);
    assert_int_equal(rm_index_load(path, &options, &again, &sequence), RM_OK);
    assert_int_equal(sequence, 4711);
    rm_index_destroy(w->index);
    w->index = again;
}

static char *read_file(size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size_t len = (size_t)ftell(file);
    char *bytes = malloc(len);
    rewind(file);
    assert_int_equal(fread(bytes, 1, len, file), len);
    (void)fclose(file);
    *ret_len = len;
    return bytes;
}

static void write_file(const char *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void nothing_at_all(void **state)
{
    world w;
    rm_index *index = NULL;
    uint64_t sequence;
    (void)state;
    world_init(&w, 24, 10, 100);
    rm_index_options options = world_options(&w, 100);
    assert_int_equal(rm_index_load(path, &options, &index, &sequence), RM_ENOTFOUND);
    turn_over(&w);
    assert_int_equal(rm_index_get_stats(w.index).partitions, 0);
    world_add(&w, HOME, 1);
    turn_over(&w);
    assert_int_equal(rm_index_count(w.index, HOME), 1);
    world_deinit(&w);
}

static void many_partitions(void **state)
{
    world w;
    float query[30];
    (void)state;
    world_init(&w, 30, 3000, 100);
    for (uint64_t id = 0; id < w.ids_max; id++)
        world_add(&w, (rm_key128){id % 501, id % 3}, id);
    turn_over(&w);
    assert_int_equal(rm_index_get_stats(w.index).entries, w.ids_max);
    for (uint64_t i = 0; i < 501; i++) {
        random_vector(&w.rng, 30, query);
        check_same(&w, (rm_key128){i, i % 3}, query, 10);
    }
    world_deinit(&w);
}

/* With fresh entries and dead ones; and what was read goes on living: it absorbs, purges, trains anew. */
static void large_partitions(void **state)
{
    world w;
    (void)state;
    world_init(&w, 24, 12000, 1500);
    world_fill(&w, HOME, 0, 4000);
    world_fill(&w, (rm_key128){9, 9}, 11000, 11100);
    world_maintain(&w);
    for (uint64_t id = 0; id < 300; id++)
        world_remove(&w, id * 7);
    world_fill(&w, HOME, 4000, 4500);
    rm_index_stats before = rm_index_get_stats(w.index);
    turn_over(&w);
    rm_index_stats after = rm_index_get_stats(w.index);
    assert_int_equal(after.entries, before.entries);
    assert_int_equal(after.large, 1);
    assert_int_equal(after.lists, before.lists);
    assert_int_equal(after.fresh, 500);
    assert_int_equal(after.dead, 300);
    assert_true(count_found(&w, HOME, 200) >= 196);
    world_fill(&w, HOME, 4500, 4500 + RM_INDEX_FRESH_MAX);
    world_maintain(&w);
    after = rm_index_get_stats(w.index);
    assert_int_equal(after.builds, 0);
    assert_true(after.fresh == 0 && after.dead == 0);
    assert_true(count_found(&w, HOME, 200) >= 196);
    world_fill(&w, HOME, 4500 + RM_INDEX_FRESH_MAX, 9000);
    world_maintain(&w);
    assert_int_equal(rm_index_get_stats(w.index).builds, 1);
    assert_true(count_found(&w, HOME, 200) >= 196);
    world_deinit(&w);
}

/* A job is under way while the snapshot is written. */
static void during_a_build(void **state)
{
    world w;
    bool more = true;
    (void)state;
    world_init(&w, 24, 4000, 1500);
    world_fill(&w, HOME, 0, 2000);
    for (int i = 0; more; i++) {
        assert_int_equal(rm_index_maintain(w.index, &more), RM_OK);
        assert_int_equal(rm_index_save(w.index, path, 1), RM_OK);
    }
    turn_over(&w);
    assert_int_equal(rm_index_get_stats(w.index).large, 1);
    assert_int_equal(rm_index_count(w.index, HOME), 2000);
    world_maintain(&w);
    assert_true(count_found(&w, HOME, 200) >= 196);
    world_deinit(&w);
}

static void of_something_else(void **state)
{
    world w;
    rm_index *index = NULL;
    uint64_t sequence = 5;
    (void)state;
    world_init(&w, 24, 10, 100);
    world_fill(&w, HOME, 0, 10);
    assert_int_equal(rm_index_save(w.index, path, 1), RM_OK);
    rm_index_options options = world_options(&w, 100);
    options.dimensions = 25;
    assert_int_equal(rm_index_load(path, &options, &index, &sequence), RM_EUNSUPPORTED);
    options.dimensions = 24;
    options.fingerprint = "tiny/int8";
    assert_int_equal(rm_index_load(path, &options, &index, &sequence), RM_EUNSUPPORTED);
    options.fingerprint = NULL;
    assert_int_equal(rm_index_load(path, &options, &index, &sequence), RM_EUNSUPPORTED);
    options.dimensions = 0;
    assert_int_equal(rm_index_load(path, &options, &index, &sequence), RM_EINVAL);
    assert_null(index);
    assert_int_equal(sequence, 5);
    world_deinit(&w);
}

/* What has lists is of no use to who cannot read vectors. */
static void lists_need_a_way_to_read_vectors(void **state)
{
    world w;
    rm_index *index = NULL;
    uint64_t sequence;
    (void)state;
    world_init(&w, 8, 2000, 1500);
    world_fill(&w, HOME, 0, 1600);
    world_maintain(&w);
    assert_int_equal(rm_index_save(w.index, path, 1), RM_OK);
    rm_index_options options = world_options(&w, 1500);
    options.fetch = NULL;
    assert_int_equal(rm_index_load(path, &options, &index, &sequence), RM_EUNSUPPORTED);
    options.fetch = world_fetch;
    options.reference = true;
    assert_int_equal(rm_index_load(path, &options, &index, &sequence), RM_EUNSUPPORTED);
    assert_null(index);
    rm_index__partition *partition = rm_map_get(&rm_index__shard_of(w.index, HOME)->partitions, HOME);
    partition->lists->broken = true; /* lists that failed are no snapshot */
    assert_int_equal(rm_index_save(w.index, path, 2), RM_EINTERNAL);
    options.reference = false;
    assert_int_equal(rm_index_load(path, &options, &index, &sequence), RM_OK);
    assert_int_equal(sequence, 1);
    rm_index_destroy(index);
    world_deinit(&w);
}

/* Every bit of the small one, each 101st byte of the one with lists; and each shorter file. */
static void damage_is_noticed(void **state)
{
    (void)state;
    for (int large = 0; large < 2; large++) {
        world w;
        size_t len;
        rm_index *index = NULL;
        uint64_t sequence = 5;
        world_init(&w, 4, 2000, 1500);
        world_fill(&w, HOME, 0, large ? 1600 : 5);
        world_maintain(&w);
        assert_int_equal(rm_index_save(w.index, path, 1), RM_OK);
        rm_index_options options = world_options(&w, 1500);
        char *bytes = read_file(&len);
        for (size_t at = 0; at < len; at += large ? 101 : 1) {
            for (int bit = 0; bit < (large ? 1 : 8); bit++) {
                bytes[at] = (char)(bytes[at] ^ 1 << bit);
                write_file(bytes, len);
                rm_status status = rm_index_load(path, &options, &index, &sequence);
                assert_true(status == RM_ECORRUPT || (status == RM_EUNSUPPORTED && at >= 8 && at < 16));
                bytes[at] = (char)(bytes[at] ^ 1 << bit);
            }
        }
        for (size_t shorter = 0; shorter < len; shorter += large ? 997 : 1) {
            write_file(bytes, shorter);
            assert_int_equal(rm_index_load(path, &options, &index, &sequence), RM_ECORRUPT);
        }
        assert_null(index);
        assert_int_equal(sequence, 5);
        write_file(bytes, len);
        assert_int_equal(rm_index_load(path, &options, &index, &sequence), RM_OK);
        rm_index_destroy(index);
        free(bytes);
        world_deinit(&w);
    }
}

/* A wrong part under a right checksum (what an error of ours would write). */
static void wrong_lengths_are_noticed(void **state)
{
    world w;
    size_t len;
    (void)state;
    world_init(&w, 4, 2000, 1500);
    world_fill(&w, HOME, 0, 1600);
    world_maintain(&w);
    world_fill(&w, HOME, 1600, 1605);
    assert_int_equal(rm_index_save(w.index, path, 1), RM_OK);
    rm_index_options options = world_options(&w, 1500);
    char *bytes = read_file(&len);
    /* Up to where FAISS's bytes begin: headers, ids, rows, ids of lists; but for the length of its bytes, which it
     * trusts. */
    size_t length_at = 64 + 16 + 24 + 5 * 24 + 32, own = length_at + 8 + 1600 * 8;
    for (size_t at = 64; at < own && at < len; at += at < 400 ? 1 : 1024) {
        char before = bytes[at];
        rm_index *index = NULL;
        uint64_t sequence;
        if (at >= length_at && at < length_at + 8)
            continue;
        bytes[at] = (char)(before ^ 0x40);
        rm_index__snapshot_seal(bytes, len);
        rm_status status = rm_index__snapshot_decode(rm_slice_make(bytes, len), &options, true, &index, &sequence);
        assert_true(status == RM_OK || status == RM_ECORRUPT || status == RM_EUNSUPPORTED || status == RM_ENOMEM);
        if (status == RM_OK)
            rm_index_destroy(index);
        bytes[at] = before;
    }
    free(bytes);
    world_deinit(&w);
}

static void what_cannot_be_written_leaves_the_old_one(void **state)
{
    world w;
    struct stat info;
    char other[128];
    (void)state;
    world_init(&w, 24, 10, 100);
    world_fill(&w, HOME, 0, 5);
    assert_int_equal(rm_index_save(w.index, path, 7), RM_OK);
    (void)snprintf(other, sizeof(other), "%s/none/index", folder);
    assert_int_equal(rm_index_save(w.index, other, 8), RM_EIO);
#ifdef REMORA_FAULTS
    uint64_t failures = 0;
    for (uint64_t nth = 1;; nth++) {
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        rm_status status = rm_index_save(w.index, path, 8);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        if (status == RM_OK)
            break;
        assert_int_equal(status, RM_ENOMEM);
        (void)snprintf(other, sizeof(other), "%s.tmp", path);
        assert_int_equal(stat(other, &info), -1);
        failures++;
    }
    assert_true(failures > 1);
#endif
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    world_deinit(&w);
}

#ifdef REMORA_FAULTS
static void no_memory_to_read(void **state)
{
    world w;
    uint64_t failures = 0, sequence = 5;
    (void)state;
    world_init(&w, 8, 2000, 1500);
    world_fill(&w, HOME, 0, 1600);
    world_maintain(&w);
    world_remove(&w, 3);
    world_fill(&w, (rm_key128){5, 5}, 1600, 1610);
    assert_int_equal(rm_index_save(w.index, path, 1), RM_OK);
    rm_index_options options = world_options(&w, 1500);
    for (uint64_t nth = 1;; nth++) {
        rm_index *index = NULL;
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        rm_status status = rm_index_load(path, &options, &index, &sequence);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        rm_index_destroy(index);
        if (status == RM_OK)
            break;
        assert_int_equal(status, RM_ENOMEM);
        failures++;
    }
    assert_true(failures > 5);
    world_deinit(&w);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(many_partitions),
        cmocka_unit_test(large_partitions),
        cmocka_unit_test(during_a_build),
        cmocka_unit_test(of_something_else),
        cmocka_unit_test(lists_need_a_way_to_read_vectors),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(wrong_lengths_are_noticed),
        cmocka_unit_test(what_cannot_be_written_leaves_the_old_one),
#ifdef REMORA_FAULTS
        cmocka_unit_test(no_memory_to_read),
#endif
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
