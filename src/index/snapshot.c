/* Snapshots. The whole file is checked by its checksum before anything in it is believed; then each length is still
 * checked, so that a wrong one is an error and nothing worse.
 *
 *   header       magic, version, dimensions, order of bytes, fingerprint's length, sequence, partitions, length, checksum
 *   fingerprint  padded to 8 bytes, like all that follows
 *   partition    key, rows, lists, then ids, vectors and, where there are lists: list_head, alive, dead, FAISS's bytes */
#include "index_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION         1U
#define BYTE_ORDER_MARK 0x01020304U
#define PATH_BYTES      4096

static const char magic[8] = {'r', 'e', 'm', 'o', 'r', 'a', 'I', 'X'};

typedef struct file_head {
    char magic[8];
    uint32_t version, byte_order, dimensions, fingerprint_bytes;
    uint64_t sequence, partitions, bytes;
    rm_key128 checksum; /* of all behind the header, then of the header with zero here, as one number */
} file_head;

typedef struct partition_head {
    rm_key128 key;
    uint32_t rows, has_lists;
} partition_head;

typedef struct list_head {
    uint32_t list_count, probes;
    uint64_t trained, alive, dead, bytes;
} list_head;

/* ---- checksum ---------------------------------------------------------------------------------------------------- */

static rm_key128 checksum_of(rm_slice bytes)
{
    file_head head;
    memcpy(&head, bytes.ptr, sizeof(head));
    rm_key128 body = rm_hash128(rm_slice_make(bytes.ptr + sizeof(head), bytes.len - sizeof(head)));
    head.checksum = body;
    return rm_hash128(rm_slice_make((const char *)&head, sizeof(head)));
}

void rm_index__snapshot_seal(char *bytes, size_t len)
{
    RM_CHECK(len >= sizeof(file_head));
    rm_key128 checksum = checksum_of(rm_slice_make(bytes, len));
    memcpy(bytes + offsetof(file_head, checksum), &checksum, sizeof(checksum));
}

rm_status rm_index__snapshot_verify(rm_slice bytes)
{
    file_head head;
    if (bytes.len < sizeof(head) || memcmp(bytes.ptr, magic, sizeof(magic)) != 0)
        return RM_ECORRUPT;
    memcpy(&head, bytes.ptr, sizeof(head));
    if (head.byte_order != BYTE_ORDER_MARK || head.version != VERSION)
        return RM_EUNSUPPORTED;
    if (head.bytes != bytes.len || !rm_key128_eq(checksum_of(bytes), head.checksum))
        return RM_ECORRUPT;
    return RM_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static size_t padded(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

/* Takes the next `count` things of `bytes` each; NULL: there are not so many. */
static const char *next(rm_slice *rest, uint64_t count, uint64_t bytes)
{
    const char *at = rest->ptr;
    if (bytes && count > rest->len / bytes)
        return NULL;
    size_t taken = padded((size_t)(count * bytes));
    if (taken > rest->len)
        return NULL;
    rest->ptr += taken;
    rest->len -= taken;
    return at;
}

static rm_status read_ids(rm_slice *rest, const list_head *head, rm_index__lists *lists)
{
    const char *alive = next(rest, head->alive, sizeof(uint64_t));
    const char *dead = alive ? next(rest, head->dead, sizeof(uint64_t)) : NULL;
    if (!dead)
        return RM_ECORRUPT;
    rm_status status = rm_index__ids_reserve(&lists->alive, (size_t)head->alive);
    for (uint64_t i = 0; status == RM_OK && i < head->alive; i++) {
        uint64_t id = rm_word_load(alive + i * sizeof(id));
        status = id == RM_INDEX__NO_ID ? RM_ECORRUPT : rm_index__ids_add(&lists->alive, id);
    }
    for (uint64_t i = 0; status == RM_OK && i < head->dead; i++)
        status = rm_index__log_add(&lists->dead, rm_word_load(dead + i * sizeof(uint64_t)));
    return status;
}

static rm_status read_codes(const char *bytes, size_t len, rm_index__lists *lists)
{
    FILE *file = fmemopen((void *)(uintptr_t)bytes, len, "r"); /* it only reads */
    if (!file)
        return RM_ENOMEM;
    rm_status status = rm_index__lists_read(lists, file);
    if (status == RM_OK && ftell(file) != (long)len)
        status = RM_ECORRUPT;
    (void)fclose(file);
    return status;
}

static rm_status read_lists(rm_slice *rest, uint32_t dimensions, bool allowed, rm_index__lists **ret_lists)
{
    list_head head;
    rm_index__lists *lists = NULL;
    const char *at = next(rest, 1, sizeof(head));
    if (!at)
        return RM_ECORRUPT;
    if (!allowed)
        return RM_EUNSUPPORTED;
    memcpy(&head, at, sizeof(head));
    if (!head.list_count || head.list_count > RM_INDEX_SAMPLE_MAX || !head.probes || head.probes > head.list_count)
        return RM_ECORRUPT;
    rm_status status = rm_index__lists_create(dimensions, head.list_count, &lists);
    if (status)
        return status;
    lists->probes = head.probes;
    lists->trained = head.trained;
    status = read_ids(rest, &head, lists);
    if (status == RM_OK) {
        at = next(rest, head.bytes, 1);
        status = at ? read_codes(at, (size_t)head.bytes, lists) : RM_ECORRUPT;
    }
    if (status)
        rm_index__lists_unref(lists);
    else
        *ret_lists = lists;
    return status;
}

static rm_status read_rows(const rm_index *index, rm_slice *rest, uint32_t rows, rm_index__partition *self)
{
    uint32_t dimensions = index->options.dimensions;
    const char *ids = next(rest, rows, sizeof(uint64_t));
    const char *vectors = ids ? next(rest, rows, dimensions * sizeof(float)) : NULL;
    if (!vectors)
        return RM_ECORRUPT;
    rm_status status = rows ? rm_index__partition_resize(index, self, rows) : RM_OK;
    if (status || !rows)
        return status;
    memcpy(self->ids, ids, rows * sizeof(*self->ids));
    memcpy(rm_index__rows(self), vectors, (size_t)rows * dimensions * sizeof(float));
    self->count = rows;
    for (uint32_t i = 0; status == RM_OK && i < rows; i++)
        if (self->ids[i] == RM_INDEX__NO_ID ||
            !rm_index__is_unit(rm_index__rows(self) + (size_t)i * dimensions, dimensions))
            status = RM_ECORRUPT;
    return status;
}

static rm_status read_partition(rm_index *index, rm_slice *rest, bool with_lists)
{
    partition_head head;
    const char *at = next(rest, 1, sizeof(head));
    if (!at)
        return RM_ECORRUPT;
    memcpy(&head, at, sizeof(head));
    rm_index__shard *shard = rm_index__shard_of(index, head.key);
    if (rm_map_get(&shard->partitions, head.key))
        return RM_ECORRUPT;
    rm_index__partition *self = rm_index__partition_create();
    if (self)
        self->highest = RM_INDEX__NO_ID - 1; /* not known */
    rm_status status = self ? read_rows(index, rest, head.rows, self) : RM_ENOMEM;
    if (status == RM_OK && head.has_lists)
        status = read_lists(rest, index->options.dimensions, with_lists && index->may_list, &self->lists);
    if (status == RM_OK)
        status = rm_map_put(&shard->partitions, head.key, self);
    if (status)
        rm_index__partition_destroy(self);
    else
        rm_index__consider(index, head.key, self);
    return status;
}

rm_status rm_index__snapshot_decode(rm_slice bytes, const rm_index_options *options, bool with_lists,
                                    rm_index **ret_index, uint64_t *ret_sequence)
{
    file_head head;
    rm_index *index = NULL;
    rm_slice rest = bytes;
    const char *at = next(&rest, 1, sizeof(head));
    RM_CHECK(at != NULL);
    memcpy(&head, at, sizeof(head));
    rm_status status = rm_index_create(options, &index);
    if (status)
        return status;
    const char *fingerprint = next(&rest, head.fingerprint_bytes, 1);
    if (!fingerprint)
        status = RM_ECORRUPT;
    else if (head.dimensions != options->dimensions ||
             !rm_slice_eq(rm_slice_make(fingerprint, head.fingerprint_bytes), rm_slice_cstr(index->fingerprint)))
        status = RM_EUNSUPPORTED;
    for (uint64_t i = 0; status == RM_OK && i < head.partitions; i++)
        status = read_partition(index, &rest, with_lists);
    if (status == RM_OK && rest.len)
        status = RM_ECORRUPT;
    if (status) {
        rm_index_destroy(index);
        return status;
    }
    *ret_index = index;
    *ret_sequence = head.sequence;
    return RM_OK;
}

/* The file's bytes, mapped; an empty one is as damaged as any. */
static rm_status map_file(const char *path, rm_slice *ret_bytes)
{
    struct stat info;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno == ENOENT ? RM_ENOTFOUND : RM_EIO;
    rm_status status = fstat(file, &info) == 0 && S_ISREG(info.st_mode) ? RM_OK : RM_EIO;
    if (status == RM_OK && info.st_size < (off_t)sizeof(file_head))
        status = RM_ECORRUPT;
    if (status == RM_OK) {
        void *at = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (at == MAP_FAILED)
            status = RM_EIO;
        else
            *ret_bytes = rm_slice_make(at, (size_t)info.st_size);
    }
    (void)close(file);
    return status;
}

rm_status rm_index_load(const char *path, const rm_index_options *options, rm_index **ret_index, uint64_t *ret_sequence)
{
    rm_slice bytes = RM_SLICE_NONE;
    rm_status status = map_file(path, &bytes);
    if (status)
        return status;
    status = rm_index__snapshot_verify(bytes);
    if (status == RM_OK)
        status = rm_index__snapshot_decode(bytes, options, true, ret_index, ret_sequence);
    (void)munmap((void *)(uintptr_t)bytes.ptr, bytes.len);
    return status;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static rm_status write_all(FILE *file, const void *bytes, size_t len)
{
    static const char zeros[8];
    size_t pad = padded(len) - len;
    if ((len && fwrite(bytes, len, 1, file) != 1) || (pad && fwrite(zeros, pad, 1, file) != 1))
        return errno == ENOSPC ? RM_EFULL : RM_EIO;
    return RM_OK;
}

/* A partition as it was at one moment. */
typedef struct moment {
    partition_head head;
    list_head lists_head;
    rm_index__partition rows;
    uint64_t *alive, *dead;
    rm_index__lists *lists;
} moment;

static rm_status copy_lists(rm_index__lists *lists, moment *ret)
{
    ret->lists_head = (list_head){.list_count = lists->list_count,
                                  .probes = lists->probes,
                                  .trained = lists->trained,
                                  .alive = lists->alive.count,
                                  .dead = lists->dead.count};
    ret->alive = rm_alloc(lists->alive.count * sizeof(*ret->alive));
    ret->dead = rm_alloc(lists->dead.count * sizeof(*ret->dead));
    if (!ret->alive || !ret->dead)
        return RM_ENOMEM;
    rm_index__ids_copy(&lists->alive, ret->alive);
    if (lists->dead.count)
        memcpy(ret->dead, lists->dead.ids, lists->dead.count * sizeof(*ret->dead));
    rm_index__lists_ref(lists);
    ret->lists = lists;
    return RM_OK;
}

/* Read lock held. A snapshot without what broken lists held would not be what its sequence says. */
static rm_status copy_partition(const rm_index *index, rm_key128 key, const rm_index__partition *self, moment *ret)
{
    rm_status status = RM_OK;
    if (self->lists && self->lists->broken)
        return RM_EINTERNAL;
    ret->head = (partition_head){.key = key, .rows = self->count, .has_lists = self->lists != NULL};
    if (self->count)
        status = rm_index__partition_resize(index, &ret->rows, self->count);
    if (status)
        return status;
    if (self->count) {
        memcpy(ret->rows.ids, self->ids, self->count * sizeof(*self->ids));
        memcpy(rm_index__rows(&ret->rows), rm_index__rows(self),
               (size_t)self->count * index->options.dimensions * sizeof(float));
    }
    return self->lists ? copy_lists(self->lists, ret) : RM_OK;
}

/* FAISS's part is as long as it turns out; its length is put into the head afterwards. Maintenance waits, so nothing
 * changes it. */
static rm_status write_lists(FILE *file, moment *self)
{
    long head_at = ftell(file);
    rm_status status = write_all(file, &self->lists_head, sizeof(self->lists_head));
    if (status == RM_OK)
        status = write_all(file, self->alive, self->lists_head.alive * sizeof(*self->alive));
    if (status == RM_OK)
        status = write_all(file, self->dead, self->lists_head.dead * sizeof(*self->dead));
    long begun = ftell(file);
    if (status == RM_OK)
        status = rm_index__lists_write(self->lists, file);
    long ended = ftell(file);
    if (status || head_at < 0 || begun < 0 || ended < 0)
        return status ? status : RM_EIO;
    self->lists_head.bytes = (uint64_t)(ended - begun);
    static const char zeros[8];
    size_t pad = padded((size_t)(ended - begun)) - (size_t)(ended - begun);
    if ((pad && fwrite(zeros, pad, 1, file) != 1) || fseek(file, head_at, SEEK_SET) != 0)
        return RM_EIO;
    status = write_all(file, &self->lists_head, sizeof(self->lists_head));
    return status == RM_OK && fseek(file, 0, SEEK_END) != 0 ? RM_EIO : status;
}

static rm_status write_copy(const rm_index *index, FILE *file, moment *self)
{
    size_t vectors = (size_t)self->head.rows * index->options.dimensions * sizeof(float);
    rm_status status = write_all(file, &self->head, sizeof(self->head));
    if (status == RM_OK && self->head.rows)
        status = write_all(file, self->rows.ids, self->head.rows * sizeof(*self->rows.ids));
    if (status == RM_OK && self->head.rows)
        status = write_all(file, rm_index__rows(&self->rows), vectors);
    return status == RM_OK && self->lists ? write_lists(file, self) : status;
}

static rm_status write_partition(rm_index *index, rm_key128 key, FILE *file, uint64_t *partitions)
{
    rm_index__shard *shard = rm_index__shard_of(index, key);
    moment copy = {0};
    rm_status status = RM_OK;
    (void)pthread_rwlock_rdlock(&shard->lock);
    const rm_index__partition *self = rm_map_get(&shard->partitions, key);
    if (self)
        status = copy_partition(index, key, self, &copy);
    (void)pthread_rwlock_unlock(&shard->lock);
    if (self && status == RM_OK) {
        status = write_copy(index, file, &copy);
        ++*partitions;
    }
    rm_index__lists_unref(copy.lists);
    rm_free(copy.rows.ids);
    rm_free(copy.alive);
    rm_free(copy.dead);
    return status;
}

/* The keys of a shard's partitions. */
static rm_status list_keys(rm_index__shard *shard, rm_key128 **ret_keys, size_t *ret_count)
{
    size_t cursor = 0, count = 0;
    rm_key128 key;
    void *partition;
    (void)pthread_rwlock_rdlock(&shard->lock);
    rm_key128 *keys = rm_alloc(shard->partitions.count * sizeof(*keys));
    while (keys && rm_map_next(&shard->partitions, &cursor, &key, &partition))
        keys[count++] = key;
    (void)pthread_rwlock_unlock(&shard->lock);
    if (!keys)
        return RM_ENOMEM;
    *ret_keys = keys;
    *ret_count = count;
    return RM_OK;
}

static rm_status write_partitions(rm_index *index, FILE *file, uint64_t *partitions)
{
    rm_status status = RM_OK;
    for (size_t i = 0; status == RM_OK && i < RM_INDEX__SHARDS; i++) {
        rm_key128 *keys = NULL;
        size_t count = 0;
        status = list_keys(&index->shards[i], &keys, &count);
        for (size_t k = 0; status == RM_OK && k < count; k++)
            status = write_partition(index, keys[k], file, partitions);
        rm_free(keys);
    }
    return status;
}

/* Puts the header with its checksum before what was written. */
static rm_status seal_file(FILE *file, file_head *head)
{
    long bytes = ftell(file);
    head->bytes = (uint64_t)bytes;
    if (bytes < 0 || fseek(file, 0, SEEK_SET) != 0 || fwrite(head, sizeof(*head), 1, file) != 1 || fflush(file) != 0)
        return errno == ENOSPC ? RM_EFULL : RM_EIO;
    char *at = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    if (at == MAP_FAILED)
        return RM_EIO;
    rm_index__snapshot_seal(at, (size_t)bytes);
    (void)munmap(at, (size_t)bytes);
    return fsync(fileno(file)) == 0 ? RM_OK : RM_EIO;
}

static rm_status write_file(rm_index *index, FILE *file, uint64_t sequence)
{
    size_t len = strlen(index->fingerprint);
    file_head head = {.version = VERSION,
                      .byte_order = BYTE_ORDER_MARK,
                      .dimensions = index->options.dimensions,
                      .fingerprint_bytes = (uint32_t)len,
                      .sequence = sequence};
    memcpy(head.magic, magic, sizeof(magic));
    rm_status status = write_all(file, &head, sizeof(head));
    if (status == RM_OK)
        status = write_all(file, index->fingerprint, len);
    if (status == RM_OK)
        status = write_partitions(index, file, &head.partitions);
    return status == RM_OK ? seal_file(file, &head) : status;
}

static void sync_folder(const char *path)
{
    char folder[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) + 1 : 1;
    memcpy(folder, slash ? path : ".", len);
    folder[len] = '\0';
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return;
    (void)fsync(file);
    (void)close(file);
}

static rm_status save_as(rm_index *index, const char *temporary, uint64_t sequence)
{
    int descriptor = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return RM_EIO;
    FILE *file = fdopen(descriptor, "w+");
    if (!file) {
        (void)close(descriptor);
        return RM_ENOMEM;
    }
    rm_status status = write_file(index, file, sequence);
    if (fclose(file) != 0 && status == RM_OK)
        status = RM_EIO;
    return status;
}

rm_status rm_index_save(rm_index *index, const char *path, uint64_t sequence)
{
    char temporary[PATH_BYTES];
    if ((size_t)snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= sizeof(temporary))
        return RM_EINVAL;
    (void)pthread_mutex_lock(&index->slow);
    rm_status status = save_as(index, temporary, sequence);
    if (status == RM_OK && rename(temporary, path) != 0)
        status = RM_EIO;
    if (status == RM_OK)
        sync_folder(path);
    else
        (void)unlink(temporary);
    (void)pthread_mutex_unlock(&index->slow);
    return status;
}
