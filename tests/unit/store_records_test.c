/* Put, get, replace, delete, purge, expiry, bounds of the queue, the ledger and the secret. */
#include "store_fixture.h"
#include "store_internal.h"

#include <sys/stat.h>

static void put_is_found(void **state)
{
    fixture *fix = *state;
    fixture_texts texts;
    rm_record put = fixture_record(1, 1500, &texts), got;
    put.form = RM_RECORD_EVENTS;
    assert_int_equal(rm_store_get(fix->reader, put.key, &got), RM_ENOTFOUND);
    assert_int_equal(rm_store_put(fix->store, &put), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(rm_store_get(fix->reader, put.key, &got), RM_OK);
    assert_true(rm_key128_eq(got.key, put.key) && rm_key128_eq(got.tenant, put.tenant));
    assert_true(rm_slice_eq(got.name_space, put.name_space) && rm_slice_eq(got.model, put.model));
    assert_true(rm_slice_eq(got.id, put.id) && rm_slice_eq(got.content_type, put.content_type));
    assert_true(rm_slice_eq(got.canonical, put.canonical) && rm_slice_eq(got.content, put.content));
    assert_int_equal(got.form, RM_RECORD_EVENTS);
    assert_int_equal(got.op, RM_OP_CHAT);
    assert_int_equal(got.created_ms, put.created_ms);
    assert_int_equal(got.expires_ms, put.expires_ms);
    assert_int_equal(got.stale_until_ms, put.stale_until_ms);
    assert_memory_equal(&got.usage, &put.usage, sizeof(put.usage));
    assert_true(got.cost_usd == put.cost_usd);
    rm_store_release(fix->reader);
    free(texts.content);
    rm_store_stats stats = fixture_stats(fix);
    assert_int_equal(stats.entries, 1);
    assert_int_equal(stats.puts, 1);
    assert_false(stats.failed);
}

static void sizes_survive(void **state)
{
    static const size_t sizes[] = {0, 1, 1700, 2000, 2100, 4095, 4096, 4097, 65536, 3 * RM_MIB};
    fixture *fix = *state;
    for (int pack = 0; pack < 2; pack++) {
        fixture_close(fix);
        fix->options.compress = pack;
        fixture_open(fix);
        for (size_t i = 0; i < RM_COUNT(sizes); i++)
            assert_int_equal(fixture_put(fix, i, sizes[i]), RM_OK);
        assert_int_equal(rm_store_flush(fix->store), RM_OK);
        for (size_t i = 0; i < RM_COUNT(sizes); i++)
            assert_int_equal(fixture_find(fix, i, sizes[i]), 1);
    }
    assert_int_equal(fixture_stats(fix).compressed_in_bytes, 0); /* noise does not pay */
}

/* Canonical and content together: from RM_STORE_COMPRESS_BYTES_MIN on compressing is tried. */
static void short_values_are_not_packed(void **state)
{
    static char bytes[RM_STORE_COMPRESS_BYTES_MIN];
    rm_store__packer packer = {0};
    (void)state;
    for (size_t less = 0; less < 2; less++) {
        char image[sizeof(rm_store__head) + sizeof(bytes)];
        rm_record record = {.form = RM_RECORD_BODY, .content = {bytes, sizeof(bytes) - less}};
        rm_slice packed;
        size_t len;
        assert_int_equal(rm_store__record_bytes(&record, &len), RM_OK);
        assert_true(len <= sizeof(image));
        rm_store__record_write(&record, image);
        assert_int_equal(rm_store__record_pack(&packer, rm_slice_make(image, len), &packed),
                         less ? RM_ENOTFOUND : RM_OK);
    }
    rm_store__packer_deinit(&packer);
}

static void too_big_is_refused(void **state)
{
    fixture *fix = *state;
    static char bytes[RM_STORE_RECORD_BYTES_MAX];
    rm_record record = {.key = {1, 1}, .form = RM_RECORD_BODY, .content = {bytes, sizeof(bytes)}};
    assert_int_equal(rm_store_put(fix->store, &record), RM_ETOOBIG);
    record.content.len -= sizeof(rm_store__head);
    assert_int_equal(rm_store_put(fix->store, &record), RM_OK);
    record.content.len += 1;
    assert_int_equal(rm_store_put(fix->store, &record), RM_ETOOBIG);
    record.content.len = 1;
    record.name_space = rm_slice_make(bytes, RM_NAMESPACE_BYTES_MAX + 1);
    assert_int_equal(rm_store_put(fix->store, &record), RM_ETOOBIG);
    record.name_space.len--;
    assert_int_equal(rm_store_put(fix->store, &record), RM_OK);
    record.model = rm_slice_make(bytes, RM_MODEL_NAME_BYTES_MAX + 1);
    assert_int_equal(rm_store_put(fix->store, &record), RM_ETOOBIG);
}

static void compressed_where_it_pays(void **state)
{
    fixture *fix = *state;
    static char text[200000];
    rm_record got, put = {.key = {7, 7},
                          .form = RM_RECORD_BODY,
                          .canonical = RM_SLICE("what was asked"),
                          .content = {text, sizeof(text)}};
    fixture_close(fix);
    fix->options.compress = true;
    fixture_open(fix);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 7);
    for (int i = 0; i < 2; i++) { /* again after the scratch was given back */
        assert_int_equal(rm_store_put(fix->store, &put), RM_OK);
        assert_int_equal(rm_store_flush(fix->store), RM_OK);
        assert_int_equal(rm_store_get(fix->reader, put.key, &got), RM_OK);
        assert_true(rm_slice_eq(got.content, put.content) && rm_slice_eq(got.canonical, put.canonical));
        rm_store_release(fix->reader);
    }
    rm_store_stats stats = fixture_stats(fix);
    assert_true(stats.compressed_in_bytes > 2 * sizeof(text));
    assert_true(stats.compressed_out_bytes < stats.compressed_in_bytes / 8);
}

static void replace_and_delete(void **state)
{
    fixture *fix = *state;
    fixture_texts texts;
    rm_record got, put = fixture_record(5, 100, &texts);
    for (int i = 0; i < 20; i++) {
        put.content.len = (size_t)(i * 300 % 101);
        assert_int_equal(rm_store_put(fix->store, &put), RM_OK);
        if (i % 3 == 0)
            assert_int_equal(rm_store_flush(fix->store), RM_OK);
    }
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(fixture_stats(fix).entries, 1);
    assert_int_equal(rm_store_get(fix->reader, put.key, &got), RM_OK);
    assert_int_equal(got.content.len, put.content.len);
    rm_store_release(fix->reader);
    assert_int_equal(rm_store_delete(fix->store, put.key), RM_OK);
    assert_int_equal(rm_store_delete(fix->store, (rm_key128){9, 9}), RM_OK); /* never there */
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(rm_store_get(fix->reader, put.key, &got), RM_ENOTFOUND);
    assert_int_equal(rm_store_put(fix->store, &put), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(rm_store_get(fix->reader, put.key, &got), RM_OK);
    rm_store_release(fix->reader);
    free(texts.content);
}

/* One key, two requests: the store keeps one of them and says which. */
static void forced_collision(void **state)
{
    fixture *fix = *state;
    rm_record got, a = {.key = {3, 3}, .form = RM_RECORD_BODY, .canonical = RM_SLICE("a"), .content = RM_SLICE("A")};
    rm_record b = a;
    b.canonical = RM_SLICE("b");
    b.content = RM_SLICE("B");
    assert_int_equal(rm_store_put(fix->store, &a), RM_OK);
    assert_int_equal(rm_store_put(fix->store, &b), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(rm_store_get(fix->reader, a.key, &got), RM_OK);
    assert_true(rm_slice_eq(got.canonical, b.canonical) && rm_slice_eq(got.content, b.content));
    rm_store_release(fix->reader);
}

static void reopened_is_the_same(void **state)
{
    fixture *fix = *state;
    for (uint64_t i = 0; i < 500; i++)
        assert_int_equal(fixture_put(fix, i, 10 + i * 9), RM_OK);
    fixture_close(fix); /* writes what is queued */
    fixture_open(fix);
    assert_int_equal(fixture_stats(fix).entries, 500);
    for (uint64_t i = 0; i < 500; i++)
        assert_int_equal(fixture_find(fix, i, 10 + i * 9), 1);
    assert_int_equal(fixture_count_files(fix, "cache.damaged"), 0);
}

/* ---- expiry ------------------------------------------------------------------------------------------------------ */

static void expired_until_stale_ends(void **state)
{
    fixture *fix = *state;
    fixture_texts texts;
    rm_record got, put = fixture_record(1, 10, &texts);
    put.stale_until_ms = put.expires_ms + 5000;
    assert_int_equal(rm_store_put(fix->store, &put), RM_OK);
    put.key = fixture_key(2);
    put.expires_ms = put.stale_until_ms = 0; /* never ends */
    assert_int_equal(rm_store_put(fix->store, &put), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    atomic_store(&fix->wall_ms, FIXTURE_NOW_MS + 65000);
    assert_int_equal(rm_store_get(fix->reader, fixture_key(1), &got), RM_OK);
    assert_int_equal(got.expires_ms, FIXTURE_NOW_MS + 60000);
    rm_store_release(fix->reader);
    atomic_store(&fix->wall_ms, FIXTURE_NOW_MS + 65001);
    assert_int_equal(rm_store_get(fix->reader, fixture_key(1), &got), RM_ENOTFOUND);
    assert_int_equal(rm_store_get(fix->reader, fixture_key(2), &got), RM_OK);
    rm_store_release(fix->reader);
    free(texts.content);
}

static void sweep_returns_space(void **state)
{
    fixture *fix = *state;
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(fixture_put(fix, i, 1000), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    uint64_t before = fixture_stats(fix).bytes;
    assert_int_equal(rm_store__sweep_now(fix->store), RM_OK);
    assert_int_equal(fixture_stats(fix).entries, 1000);
    atomic_store(&fix->wall_ms, FIXTURE_NOW_MS + 62000);
    for (int i = 0; i < 8; i++)
        assert_int_equal(rm_store__sweep_now(fix->store), RM_OK);
    rm_store_stats stats = fixture_stats(fix);
    assert_int_equal(stats.entries, 0);
    assert_int_equal(stats.expired, 1000);
    assert_true(stats.bytes < before / 20);
}

/* Entries whose records were replaced leave the queues. */
static void sweep_clears_dead_entries(void **state)
{
    fixture *fix = *state;
    for (int round = 0; round < 30; round++)
        for (uint64_t i = 0; i < 50; i++)
            assert_int_equal(fixture_put(fix, i, 10), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    uint64_t before = fixture_stats(fix).bytes;
    for (int i = 0; i < 10; i++)
        assert_int_equal(rm_store__sweep_now(fix->store), RM_OK);
    rm_store_stats stats = fixture_stats(fix);
    assert_int_equal(stats.entries, 50);
    assert_true(stats.bytes < before);
    assert_int_equal(stats.expired, 0);
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(fixture_find(fix, i, 10), 1);
}

/* ---- purge ------------------------------------------------------------------------------------------------------- */

enum { PURGE_RECORDS = 4000 }; /* several pieces */

/* Tenant, model, name space and age of a number are its digits to base 2. */
static void fill_for_purge(fixture *fix)
{
    for (uint64_t i = 0; i < PURGE_RECORDS; i++) {
        fixture_texts texts;
        rm_record record = fixture_record(i, 20, &texts);
        record.tenant = (rm_key128){i & 1, 5};
        record.model = i & 2 ? RM_SLICE("model-b") : RM_SLICE("model-a");
        record.name_space = i & 4 ? RM_SLICE("blue") : rm_slice_make("", 0);
        record.created_ms = i & 8 ? 2000 : 1000;
        assert_int_equal(rm_store_put(fix->store, &record), RM_OK);
        free(texts.content);
    }
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
}

static uint64_t purge(fixture *fix, rm_store_filter filter)
{
    uint64_t count = UINT64_MAX;
    assert_int_equal(rm_store_purge(fix->store, &filter, &count), RM_OK);
    return count;
}

static void check_purged(fixture *fix, uint64_t mask, uint64_t bits)
{
    for (uint64_t i = 0; i < PURGE_RECORDS; i++) {
        rm_record got;
        rm_status status = rm_store_get(fix->reader, fixture_key(i), &got);
        assert_int_equal(status, (i & mask) == bits ? RM_ENOTFOUND : RM_OK);
        if (!status)
            rm_store_release(fix->reader);
    }
}

static void purge_by_each_condition(void **state)
{
    fixture *fix = *state;
    rm_key128 tenant = {1, 5};
    fill_for_purge(fix);
    assert_int_equal(purge(fix, (rm_store_filter){.tenant = &tenant}), PURGE_RECORDS / 2);
    check_purged(fix, 1, 1);
    fill_for_purge(fix);
    assert_int_equal(purge(fix, (rm_store_filter){.model = RM_SLICE("model-b")}), PURGE_RECORDS / 2);
    check_purged(fix, 2, 2);
    fill_for_purge(fix);
    assert_int_equal(purge(fix, (rm_store_filter){.name_space = RM_SLICE("blue")}), PURGE_RECORDS / 2);
    check_purged(fix, 4, 4);
    fill_for_purge(fix);
    assert_int_equal(purge(fix, (rm_store_filter){.name_space = rm_slice_make("", 0)}), PURGE_RECORDS / 2);
    check_purged(fix, 4, 0);
    fill_for_purge(fix);
    assert_int_equal(purge(fix, (rm_store_filter){.created_before_ms = 2000}), PURGE_RECORDS / 2);
    check_purged(fix, 8, 0);
    fill_for_purge(fix);
    rm_store_filter all = {
        .tenant = &tenant, .model = RM_SLICE("model-b"), .name_space = RM_SLICE("blue"), .created_before_ms = 2000};
    assert_int_equal(purge(fix, all), PURGE_RECORDS / 16);
    check_purged(fix, 15, 7);
}

static void purge_by_key_and_everything(void **state)
{
    fixture *fix = *state;
    rm_record got;
    rm_key128 key = fixture_key(17), stranger = {1, 1}, tenant = {0, 5};
    fill_for_purge(fix);
    assert_int_equal(purge(fix, (rm_store_filter){.key = &stranger}), 0);
    assert_int_equal(purge(fix, (rm_store_filter){.key = &key, .tenant = &tenant}), 0);
    assert_int_equal(purge(fix, (rm_store_filter){.key = &key}), 1);
    assert_int_equal(rm_store_get(fix->reader, key, &got), RM_ENOTFOUND);
    assert_int_equal(purge(fix, (rm_store_filter){.key = &key}), 0);
    uint64_t before = fixture_stats(fix).bytes;
    assert_int_equal(purge(fix, (rm_store_filter){.created_before_ms = 0}), PURGE_RECORDS - 1);
    assert_int_equal(fixture_stats(fix).entries, 0);
    assert_true(fixture_stats(fix).bytes < before / 4);
    check_purged(fix, 0, 0);
    assert_int_equal(fixture_put(fix, 1, 10), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    assert_int_equal(fixture_find(fix, 1, 10), 1);
}

/* What was put before a purge began does not come back after it. */
static void purge_takes_what_is_queued(void **state)
{
    fixture *fix = *state;
    rm_key128 tenant = {1, 2};
    for (uint64_t round = 0; round < 20; round++) {
        for (uint64_t i = 0; i < 100; i++)
            assert_int_equal(fixture_put(fix, i, 100), RM_OK);
        rm_store_filter filter = {.tenant = round % 2 ? &tenant : NULL};
        assert_int_equal(purge(fix, filter), 100);
        for (uint64_t i = 0; i < 100; i++)
            assert_int_equal(fixture_find(fix, i, 100), 0);
        assert_int_equal(rm_store_flush(fix->store), RM_OK);
        assert_int_equal(fixture_stats(fix).entries, 0);
    }
}

/* ---- ledger ------------------------------------------------------------------------------------------------------ */

typedef struct ledger_seen {
    size_t count;
    uint64_t last_hour;
    rm_ledger_row sum;
} ledger_seen;

static void see_row(void *user, const rm_ledger_row *row)
{
    ledger_seen *seen = user;
    assert_true(row->hour >= seen->last_hour);
    seen->last_hour = row->hour;
    seen->count++;
    seen->sum.requests += row->requests;
    seen->sum.output_tokens += row->output_tokens;
    seen->sum.cost_usd += row->cost_usd;
    seen->sum.saved_usd += row->saved_usd;
}

static void ledger_adds(void **state)
{
    fixture *fix = *state;
    rm_ledger_row rows[3];
    memset(rows, 0x55, sizeof(rows)); /* what stands after the names is no part of them */
    for (int i = 0; i < 3; i++) {
        rows[i].hour = i < 2 ? 500000 : 77;
        strcpy(rows[i].tenant, "anonymous");
        strcpy(rows[i].model, i == 1 ? "other" : "gpt");
        strcpy(rows[i].reason, "hit");
        rows[i].requests = 1;
        rows[i].output_tokens = 10;
        rows[i].cost_usd = 0.25;
        rows[i].saved_usd = 0.5;
    }
    assert_int_equal(rm_store_ledger_add(fix->store, rows, 3), RM_OK);
    memset(rows[0].tenant + 10, 0, sizeof(rows[0].tenant) - 10);
    assert_int_equal(rm_store_ledger_add(fix->store, rows, 3), RM_OK);
    assert_int_equal(rm_store_ledger_add(fix->store, rows, 0), RM_OK);
    assert_int_equal(rm_store_flush(fix->store), RM_OK);
    ledger_seen seen = {0};
    assert_int_equal(rm_store_ledger_scan(fix->store, 0, see_row, &seen), RM_OK);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.sum.requests, 6);
    assert_int_equal(seen.sum.output_tokens, 60);
    assert_true(seen.sum.cost_usd == 1.5 && seen.sum.saved_usd == 3.0);
    fixture_close(fix);
    fixture_open(fix);
    seen = (ledger_seen){0};
    assert_int_equal(rm_store_ledger_scan(fix->store, 78, see_row, &seen), RM_OK);
    assert_int_equal(seen.count, 2);
    seen = (ledger_seen){0};
    assert_int_equal(rm_store_ledger_scan(fix->store, 500001, see_row, &seen), RM_OK);
    assert_int_equal(seen.count, 0);
}

/* ---- secret ------------------------------------------------------------------------------------------------------ */

static void secret_stays(void **state)
{
    fixture *fix = *state;
    uint8_t first[32], again[32];
    char path[128];
    struct stat file;
    assert_int_equal(rm_store_secret(fix->folder, first), RM_OK);
    assert_int_equal(rm_store_secret(fix->folder, again), RM_OK);
    assert_memory_equal(first, again, sizeof(first));
    snprintf(path, sizeof(path), "%s/secret", fix->folder);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    assert_int_equal(file.st_size, 32);
    assert_int_equal(fixture_count_files(fix, "secret"), 1); /* no draft is left */
    for (int size = 31; size <= 33; size += 2) {
        assert_int_equal(truncate(path, size), 0);
        memset(again, 7, sizeof(again));
        assert_int_equal(rm_store_secret(fix->folder, again), RM_EIO);
        assert_int_equal(again[0], 7);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(put_is_found),
        TEST(sizes_survive),
        cmocka_unit_test(short_values_are_not_packed),
        TEST(too_big_is_refused),
        TEST(compressed_where_it_pays),
        TEST(replace_and_delete),
        TEST(forced_collision),
        TEST(reopened_is_the_same),
        TEST(expired_until_stale_ends),
        TEST(sweep_returns_space),
        TEST(sweep_clears_dead_entries),
        TEST(purge_by_each_condition),
        TEST(purge_by_key_and_everything),
        TEST(purge_takes_what_is_queued),
        TEST(ledger_adds),
        TEST(secret_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
