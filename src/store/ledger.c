/* The ledger of money in the journal: one row an hour, tenant, model and reason, to which sums are added. */
#include "store_internal.h"

#define LEDGER_VERSION 1u

typedef struct ledger_key {
    uint8_t hour[8]; /* big-endian: in order of time */
    rm_key128 what;  /* hash of the three names */
} ledger_key;

typedef struct ledger_value {
    uint64_t checksum; /* XXH3-64 of what follows */
    uint64_t version;
    rm_ledger_row row;
} ledger_value;

_Static_assert(sizeof(ledger_key) == 24, "no padding in a key");

static uint64_t checksum(const ledger_value *value)
{
    return rm_hash64(rm_slice_make((const char *)value + sizeof(value->checksum), sizeof(*value) - sizeof(uint64_t)));
}

static void store_hour(uint64_t hour, uint8_t *out)
{
    for (int i = 7; i >= 0; i--, hour >>= 8)
        out[i] = (uint8_t)hour;
}

/* The three names with everything after their ends zeroed, so that equal names are equal bytes. */
typedef struct ledger_names {
    char tenant[sizeof(((rm_ledger_row *)0)->tenant)];
    char model[sizeof(((rm_ledger_row *)0)->model)];
    char reason[sizeof(((rm_ledger_row *)0)->reason)];
} ledger_names;

static void copy_name(char *out, const char *name, size_t bytes)
{
    memcpy(out, name, strnlen(name, bytes - 1));
}

static ledger_key key_of(const rm_ledger_row *row)
{
    ledger_key key;
    ledger_names names;
    memset(&names, 0, sizeof(names));
    copy_name(names.tenant, row->tenant, sizeof(names.tenant));
    copy_name(names.model, row->model, sizeof(names.model));
    copy_name(names.reason, row->reason, sizeof(names.reason));
    store_hour(row->hour, key.hour);
    key.what = rm_hash128(rm_slice_make((const char *)&names, sizeof(names)));
    return key;
}

static void begin_value(ledger_value *value, const rm_ledger_row *row)
{
    memset(value, 0, sizeof(*value));
    value->version = LEDGER_VERSION;
    value->row.hour = row->hour;
    copy_name(value->row.tenant, row->tenant, sizeof(row->tenant));
    copy_name(value->row.model, row->model, sizeof(row->model));
    copy_name(value->row.reason, row->reason, sizeof(row->reason));
}

static bool read_value(MDB_val bytes, ledger_value *ret_value)
{
    if (bytes.mv_size != sizeof(*ret_value))
        return false;
    memcpy(ret_value, bytes.mv_data, sizeof(*ret_value));
    return ret_value->version == LEDGER_VERSION && ret_value->checksum == checksum(ret_value);
}

static rm_status add_row(rm_store *store, MDB_txn *txn, const rm_ledger_row *row)
{
    ledger_value sum;
    ledger_key name = key_of(row);
    MDB_val key = {sizeof(name), &name}, value;
    int rc = mdb_get(txn, store->ledger, &key, &value);
    if (rc && rc != MDB_NOTFOUND)
        return rm_store__status_of(rc);
    if (rc || !read_value(value, &sum))
        begin_value(&sum, row);
    sum.row.requests += row->requests;
    sum.row.errors += row->errors;
    sum.row.input_tokens += row->input_tokens;
    sum.row.cached_input_tokens += row->cached_input_tokens;
    sum.row.output_tokens += row->output_tokens;
    sum.row.unpriced += row->unpriced;
    sum.row.cost_usd += row->cost_usd;
    sum.row.saved_usd += row->saved_usd;
    sum.checksum = checksum(&sum);
    value = (MDB_val){sizeof(sum), &sum};
    return rm_store__status_of(mdb_put(txn, store->ledger, &key, &value, 0));
}

/* In time: when it is full, nothing can be deleted from it either. */
static bool nearly_full(rm_store *store)
{
    MDB_txn *txn;
    MDB_stat tree = {0};
    if (mdb_txn_begin(store->journal.env, NULL, MDB_RDONLY, &txn))
        return false;
    int rc = mdb_stat(txn, store->ledger, &tree);
    mdb_txn_abort(txn);
    uint64_t used = (tree.ms_branch_pages + tree.ms_leaf_pages + tree.ms_overflow_pages) * store->journal.page_bytes;
    return !rc && used > store->journal.map_bytes / 8 * 7;
}

/* The oldest rows make room. */
static rm_status prune(rm_store *store)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_txn_begin(store->journal.env, NULL, 0, &txn);
    if (rc)
        return rm_store__status_of(rc);
    rc = mdb_cursor_open(txn, store->ledger, &cursor);
    if (!rc) {
        for (int i = 0; !rc && i < RM_STORE__LEDGER_PRUNE_ROWS; i++) {
            rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
            rc = rc ? rc : mdb_cursor_del(cursor, 0);
        }
        mdb_cursor_close(cursor);
    }
    if (rc && rc != MDB_NOTFOUND) {
        mdb_txn_abort(txn);
        return rm_store__status_of(rc);
    }
    return rm_store__status_of(mdb_txn_commit(txn));
}

static rm_status add_rows(rm_store *store, const rm_store__op *op)
{
    MDB_txn *txn;
    rm_status status = rm_store__status_of(mdb_txn_begin(store->journal.env, NULL, 0, &txn));
    if (status)
        return status;
    for (size_t i = 0; i < op->bytes / sizeof(rm_ledger_row) && !status; i++) {
        rm_ledger_row row;
        memcpy(&row, op->data + i * sizeof(row), sizeof(row));
        status = add_row(store, txn, &row);
    }
    if (status) {
        mdb_txn_abort(txn);
        return status;
    }
    return rm_store__status_of(mdb_txn_commit(txn));
}

rm_status rm_store__ledger_apply(rm_store *store, const rm_store__op *op)
{
    rm_status status = nearly_full(store) ? prune(store) : RM_OK;
    if (!status)
        status = add_rows(store, op);
    if (status == RM_ECORRUPT)
        rm_store__env_mark_damaged(&store->journal);
    return status;
}

rm_status rm_store_ledger_scan(rm_store *store, uint64_t since_hour, void (*each)(void *user, const rm_ledger_row *row),
                               void *user)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    if (!store->journal.env)
        return RM_OK;
    int rc = mdb_txn_begin(store->journal.env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return RM_EIO;
    ledger_key from;
    memset(&from, 0, sizeof(from));
    store_hour(since_hour, from.hour);
    MDB_val key = {sizeof(from), &from}, value;
    rc = mdb_cursor_open(txn, store->ledger, &cursor);
    if (!rc) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        for (; !rc; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
            ledger_value row;
            if (read_value(value, &row))
                each(user, &row.row);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return rc == MDB_NOTFOUND ? RM_OK : RM_EIO;
}
