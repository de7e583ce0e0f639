/* Opening and closing the store, and its statistics. */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_DBS   8
#define JOURNAL_DBS 1

static char *folder_path(const rm_store *store, const char *name)
{
    size_t bytes = strlen(store->folder) + strlen(name) + 2;
    char *path = rm_alloc(bytes);
    if (path)
        snprintf(path, bytes, "%s/%s", store->folder, name);
    return path;
}

static rm_status take_lock(rm_store *store)
{
    if (rm_store__make_folder(store->folder)) {
        rm_log(RM_LOG_ERROR, "store", "%s: cannot be made: %s", store->folder, strerror(errno));
        return RM_EIO;
    }
    char *path = folder_path(store, "lock");
    if (!path)
        return RM_ENOMEM;
    rm_status status = RM_OK;
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0) {
        rm_log(RM_LOG_ERROR, "store", "%s: cannot be opened: %s", path, strerror(errno));
        status = RM_EIO;
    } else if (flock(store->lock_fd, LOCK_EX | LOCK_NB)) {
        status = errno == EWOULDBLOCK ? RM_ELOCKED : RM_EIO;
    }
    rm_free(path);
    return status;
}

/* ---- what is in use -----------------------------------------------------------------------------------------------
 */

uint64_t rm_store__used_bytes(const rm_store *store, MDB_txn *txn)
{
    const MDB_dbi dbs[] = {0 /* free list */,
                           1 /* names */,
                           store->records,
                           store->queues[RM_STORE__SMALL],
                           store->queues[RM_STORE__MAIN],
                           store->meta,
                           store->annexes,
                           store->links,
                           store->annex_notes,
                           store->notes};
    enum { OF_ANNEXES = 4 };
    uint64_t pages = 2; /* LMDB's own meta pages */
    for (size_t i = 0; i < RM_COUNT(dbs) - (store->has_annexes ? 0 : OF_ANNEXES); i++) {
        MDB_stat tree;
        if (!mdb_stat(txn, dbs[i], &tree))
            pages += tree.ms_branch_pages + tree.ms_leaf_pages + tree.ms_overflow_pages;
    }
    return pages * store->cache.page_bytes;
}

void rm_store__measure(const rm_store *store, MDB_txn *txn, uint64_t *ret_entries, uint64_t *ret_bytes)
{
    MDB_stat tree;
    *ret_entries = mdb_stat(txn, store->records, &tree) ? 0 : tree.ms_entries;
    *ret_bytes = rm_store__used_bytes(store, txn);
}

static void publish(rm_store *store, MDB_txn *txn)
{
    uint64_t entries, bytes;
    rm_store__measure(store, txn, &entries, &bytes);
    atomic_store_explicit(&store->counts.entries, entries, memory_order_relaxed);
    atomic_store_explicit(&store->counts.bytes, bytes, memory_order_relaxed);
}

/* ---- databases --------------------------------------------------------------------------------------------------- */

static rm_status last_sequence(MDB_txn *txn, MDB_dbi dbi, uint64_t *ret_last)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc)
        return rm_store__status_of(rc);
    rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    mdb_cursor_close(cursor);
    if (rc == MDB_NOTFOUND) {
        *ret_last = 0;
        return RM_OK;
    }
    if (rc || key.mv_size != sizeof(*ret_last))
        return rc ? rm_store__status_of(rc) : RM_ECORRUPT;
    memcpy(ret_last, key.mv_data, sizeof(*ret_last));
    return RM_OK;
}

/* The state as stored, or the first one of an empty environment. */
static rm_status load_state(rm_store *store, MDB_txn *txn)
{
    MDB_stat records;
    MDB_val value, key = {sizeof("state") - 1, (void *)(uintptr_t) "state"};
    int rc = mdb_stat(txn, store->records, &records);
    rc = rc ? rc : mdb_get(txn, store->meta, &key, &value);
    if (rc == MDB_NOTFOUND && records.ms_entries == 0) {
        store->state = (rm_store__state){.format = RM_STORE__FORMAT, .next_sequence = 1};
        return RM_OK;
    }
    if (rc || (value.mv_size != sizeof(store->state) && value.mv_size != offsetof(rm_store__state, last_annex)))
        return rc && rc != MDB_NOTFOUND ? rm_store__status_of(rc) : RM_ECORRUPT;
    memset(&store->state, 0, sizeof(store->state));
    memcpy(&store->state, value.mv_data, value.mv_size);
    uint64_t last[RM_STORE__QUEUE_COUNT] = {0}, last_annex = 0;
    rm_status status = last_sequence(txn, store->queues[RM_STORE__SMALL], &last[RM_STORE__SMALL]);
    status = status ? status : last_sequence(txn, store->queues[RM_STORE__MAIN], &last[RM_STORE__MAIN]);
    if (!status && store->has_annexes)
        status = last_sequence(txn, store->annexes, &last_annex);
    if (!status && (store->state.format != RM_STORE__FORMAT || last[RM_STORE__SMALL] >= store->state.next_sequence ||
                    last[RM_STORE__MAIN] >= store->state.next_sequence || last_annex > store->state.last_annex))
        status = RM_ECORRUPT;
    return status;
}

static int open_annexes(rm_store *store, MDB_txn *txn, unsigned make)
{
    int rc = mdb_dbi_open(txn, "annexes", make | MDB_INTEGERKEY, &store->annexes);
    rc = rc ? rc : mdb_dbi_open(txn, "links", make, &store->links);
    rc = rc ? rc : mdb_dbi_open(txn, "annex_notes", make | MDB_INTEGERKEY, &store->annex_notes);
    rc = rc ? rc : mdb_dbi_open(txn, "notes", make, &store->notes);
    store->has_annexes = !rc;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static rm_status open_dbs(rm_store *store, MDB_txn *txn)
{
    unsigned make = store->read_only ? 0 : MDB_CREATE;
    int rc = mdb_dbi_open(txn, "records", make, &store->records);
    rc = rc ? rc : mdb_dbi_open(txn, "small", make | MDB_INTEGERKEY, &store->queues[RM_STORE__SMALL]);
    rc = rc ? rc : mdb_dbi_open(txn, "main", make | MDB_INTEGERKEY, &store->queues[RM_STORE__MAIN]);
    rc = rc ? rc : mdb_dbi_open(txn, "meta", make, &store->meta);
    rc = rc ? rc : open_annexes(store, txn, make);
    if (rc)
        return rm_store__status_of(rc);
    rm_status status = load_state(store, txn);
    store->last_annex = store->state.last_annex;
    if (!status)
        publish(store, txn);
    return status;
}

static rm_status open_cache(rm_store *store)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->cache.env, NULL, store->read_only ? MDB_RDONLY : 0, &txn);
    if (rc)
        return rm_store__status_of(rc);
    rm_status status = open_dbs(store, txn);
    if (!status)
        return rm_store__status_of(mdb_txn_commit(txn)); /* keeps the handles, for readers too */
    mdb_txn_abort(txn);
    return status;
}

static rm_status cache_begin(rm_store *store)
{
    jmp_buf jump;
    if (setjmp(jump)) {
        rm_store__guard = NULL;
        return RM_ECORRUPT;
    }
    rm_store__guard = &jump;
    uint64_t slack = store->bytes_max - store->bytes_goal;
    rm_status status = open_cache(store);
    /* Of a bound that was lowered the file keeps its length, and without free pages nothing could be deleted from it, nor
     * the databases made that an older cache lacks. */
    if (status == RM_EFULL) {
        status = rm_store__env_grow(&store->cache, slack);
        status = status ? status : open_cache(store);
    } else if (!status && !store->read_only && atomic_load(&store->counts.bytes) > store->bytes_goal) {
        status = rm_store__env_grow(&store->cache, slack);
    }
    rm_store__guard = NULL;
    return status;
}

static rm_status journal_begin(rm_store *store)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->journal.env, NULL, store->read_only ? MDB_RDONLY : 0, &txn);
    if (rc)
        return rm_store__status_of(rc);
    rc = mdb_dbi_open(txn, "ledger", store->read_only ? 0 : MDB_CREATE, &store->ledger);
    if (rc) {
        mdb_txn_abort(txn);
        return rm_store__status_of(rc);
    }
    return rm_store__status_of(mdb_txn_commit(txn));
}

/* Opens one environment; what is damaged is set aside (once) for a fresh one. Who only looks goes without. */
static rm_status open_env(rm_store *store, bool is_cache)
{
    rm_store__env *env = is_cache ? &store->cache : &store->journal;
    char *path = folder_path(store, is_cache ? "cache" : "journal");
    rm_status status = path ? RM_OK : RM_ENOMEM;
    for (int round = 0; !status && round < 2; round++) {
        status = rm_store__env_open(env, path, is_cache ? store->bytes_max : RM_STORE__JOURNAL_BYTES_MAX,
                                    is_cache ? CACHE_DBS : JOURNAL_DBS, store->read_only);
        if (!status) {
            status = is_cache ? cache_begin(store) : journal_begin(store);
            if (status)
                rm_store__env_close(env);
        }
        if (status != RM_ECORRUPT || store->read_only || round)
            break;
        status = rm_store__env_set_aside(path, store->clock->wall_ms(store->clock), is_cache);
    }
    if (store->read_only && (status == RM_ENOTFOUND || status == RM_ECORRUPT)) {
        if (status == RM_ECORRUPT && is_cache)
            atomic_store(&store->failed, true);
        status = RM_OK; /* env->env stays NULL: nothing is found */
    }
    if (status && status != RM_ENOMEM) {
        rm_log(RM_LOG_ERROR, "store", "%s: cannot be used: %s", path, rm_status_text(status));
        status = RM_EIO;
    }
    rm_free(path);
    return status;
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static void set_bounds(rm_store *store, uint64_t bytes_max)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (bytes_max < RM_STORE__BYTES_MIN)
        bytes_max = RM_STORE__BYTES_MIN;
    store->bytes_max = bytes_max / page * page;
    uint64_t slack = store->bytes_max / RM_STORE__SLACK_SHARE;
    if (slack > RM_STORE__SLACK_BYTES_MAX)
        slack = RM_STORE__SLACK_BYTES_MAX;
    store->bytes_goal = store->bytes_max - slack;
    uint64_t bytes = slack / RM_STORE__GENERATIONS;
    uint64_t ops = bytes / (RM_STORE__PAGES_PER_OP * page), annexed = bytes / (RM_STORE__PAGES_PER_OP_ANNEX * page);
    store->batch_bytes_max = bytes < RM_STORE_BATCH_BYTES_MAX ? bytes : RM_STORE_BATCH_BYTES_MAX;
    store->batch_ops_max = ops < RM_STORE_BATCH_OPS_MAX ? ops : RM_STORE_BATCH_OPS_MAX;
    store->annexed_ops_max = annexed < RM_STORE_BATCH_OPS_MAX ? annexed : RM_STORE_BATCH_OPS_MAX;
}

static rm_status init_sync(rm_store *store)
{
    pthread_condattr_t attributes;
    int rc = pthread_condattr_init(&attributes);
    if (rc)
        return RM_ENOMEM;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    rc = pthread_mutex_init(&store->lock, NULL);
    rc |= pthread_cond_init(&store->wake, &attributes);
    rc |= pthread_cond_init(&store->done, &attributes);
    rm_store__pending_init(&store->pending_records);
    rm_store__pending_init(&store->pending_annexes);
    pthread_condattr_destroy(&attributes);
    return rc ? RM_ENOMEM : RM_OK;
}

static void free_store(rm_store *store)
{
    rm_store__env_close(&store->cache);
    rm_store__env_close(&store->journal);
    rm_store__policy_deinit(&store->policy);
    rm_store__packer_deinit(&store->packer);
    pthread_cond_destroy(&store->done);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->lock);
    rm_store__pending_deinit(&store->pending_records);
    rm_store__pending_deinit(&store->pending_annexes);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    rm_free(store->folder);
    rm_free(store);
}

static rm_status start_writer(rm_store *store)
{
    store->evict_more = true; /* bytes_max may have shrunk since */
    if (pthread_create(&store->writer, NULL, rm_store__writer_main, store))
        return RM_ENOMEM;
    store->writer_runs = true;
    return RM_OK;
}

rm_status rm_store_open(const rm_store_options *options, rm_store **ret_store)
{
    rm_store *store = rm_calloc(1, sizeof(*store));
    if (!store)
        return RM_ENOMEM;
    store->lock_fd = -1;
    store->clock = options->clock;
    store->read_only = options->read_only;
    store->compress = options->compress;
    store->last = &store->first;
    set_bounds(store, options->bytes_max);
    rm_status status = init_sync(store);
    if (status) {
        rm_free(store);
        return status;
    }
    store->folder = rm_strdup(options->folder);
    status = store->folder ? RM_OK : RM_ENOMEM;
    if (!status && !store->read_only)
        status = take_lock(store);
    if (!status)
        status = open_env(store, true);
    if (!status)
        status = open_env(store, false);
    if (!status)
        status = rm_store__policy_init(&store->policy, store->bytes_max / RM_STORE__ENTRY_BYTES_TYPICAL);
    if (!status && store->cache.env)
        rm_store__crash_watch(&store->cache, store->read_only);
    if (!status && !store->read_only)
        status = start_writer(store);
    if (status) {
        free_store(store);
        return status;
    }
    *ret_store = store;
    return RM_OK;
}

void rm_store_close(rm_store *store)
{
    if (!store)
        return;
    RM_CHECK(atomic_load(&store->readers) == 0);
    if (store->writer_runs) {
        pthread_mutex_lock(&store->lock);
        store->stop = true;
        pthread_cond_signal(&store->wake);
        pthread_mutex_unlock(&store->lock);
        pthread_join(store->writer, NULL);
    }
    free_store(store);
}

/* ---- state seen from outside ------------------------------------------------------------------------------------- */

void rm_store__fail(rm_store *store, const char *where, rm_status status)
{
    if (atomic_exchange(&store->failed, true))
        return;
    rm_log(RM_LOG_ERROR, "store", "%s: the cache broke (%s: %s); nothing is served from it until the next start",
           store->folder, where, rm_status_text(status));
    if (!store->read_only)
        rm_store__env_mark_damaged(&store->cache);
}

void rm_store_get_stats(rm_store *store, rm_store_stats *ret_stats)
{
    MDB_txn *txn;
    if (store->read_only && store->cache.env && !mdb_txn_begin(store->cache.env, NULL, MDB_RDONLY, &txn)) {
        publish(store, txn); /* another process writes */
        mdb_txn_abort(txn);
    }
    memset(ret_stats, 0, sizeof(*ret_stats));
#define X(name) ret_stats->name = atomic_load_explicit(&store->counts.name, memory_order_relaxed);
    RM_STORE__COUNT_MAP(X)
#undef X
    ret_stats->bytes_max = store->bytes_max;
    ret_stats->file_bytes = rm_store__env_file_bytes(&store->cache);
    ret_stats->failed = atomic_load(&store->failed);
}
