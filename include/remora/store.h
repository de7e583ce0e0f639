/* L2: the cache's and the ledger's LMDB environments; one writer thread with group commit, one reader a loop.
 *
 * Environment `cache` may be thrown away: damaged, it is set aside (renamed cache.damaged-<unix time>) and a fresh one
 * begun. Environment `journal` holds the ledger (and later deferred work) and is synced at each commit. */
#ifndef REMORA_STORE_H
#define REMORA_STORE_H

#include "remora/base.h"
#include "remora/observe.h"

typedef struct rm_store rm_store;
typedef struct rm_store_reader rm_store_reader;

typedef struct rm_store_options {
    const char *folder; /* made if missing (0700) */
    uint64_t bytes_max; /* of the cache's file, which never grows past it (raised to 4 MiB); an eighth, at most
                                * 256 MiB, of it stays free for copies on write */
    const rm_clock *clock;
    bool read_only; /* look at it while another process serves; writes are RM_EREFUSED */
    bool compress;  /* zstd where it saves at least an eighth of a value over RM_STORE_COMPRESS_BYTES_MIN */
} rm_store_options;

/* RM_ELOCKED: another process serves from this folder. RM_EIO: the folder cannot be used (logged). A damaged cache is
 * not an error. Any thread; starts the writer thread. Under 1 s at a million entries. */
rm_status rm_store_open(const rm_store_options *options, rm_store **ret_store) RM_WARN_UNUSED;
/* Writes what is queued, then closes. Every reader must be gone. NULL is fine. */
void rm_store_close(rm_store *store);

/* ---- records ----------------------------------------------------------------------------------------------------- */

typedef enum rm_record_form {
    RM_RECORD_BODY = 1,  /* content is one JSON body */
    RM_RECORD_EVENTS = 2 /* content is the text of an SSE stream, to the last event */
} rm_record_form;

/* One cached answer. Slices belong to whoever made it (put) or to the reader until rm_store_release (get). */
typedef struct rm_record {
    rm_key128 key;
    rm_key128 tenant;    /* scope's id */
    rm_slice name_space; /* at most RM_NAMESPACE_BYTES_MAX; empty: default */
    rm_slice model;      /* the answer's model */
    rm_slice id;         /* the answer's x-remora-id */
    rm_slice canonical;  /* what was asked, compared on a hit */
    rm_slice content;
    rm_slice content_type;
    rm_record_form form;
    rm_op op;
    uint64_t created_ms;     /* Unix */
    uint64_t expires_ms;     /* fresh until; 0: never ends */
    uint64_t stale_until_ms; /* kept until (>= expires_ms) for stale-while-revalidate and stale-if-error */
    rm_usage usage;
    double cost_usd; /* what the upstream's answer cost; negative: unknown */
} rm_record;

/* Loop thread that will use it. RM_ENOMEM; RM_EBUSY: more than RM_STORE_READERS_MAX. */
rm_status rm_store_reader_create(rm_store *store, rm_store_reader **ret_reader) RM_WARN_UNUSED;
void rm_store_reader_destroy(rm_store_reader *reader);

/* Reader's thread. Fills ret_record with pointers into the map (or the reader's scratch where it was compressed), valid
 * until rm_store_release on this reader, which must come before control returns to the loop; nothing else is read in
 * between. Expired records are found too (expires_ms says) until stale_until_ms. Counts the use for eviction.
 * RM_ENOTFOUND; RM_ECORRUPT (checksum or version; it is queued for deletion); RM_EIO (also for good once the environment
 * is known to be damaged, a memory fault in the map included: crash.c). RM_ENOMEM. */
rm_status rm_store_get(rm_store_reader *reader, rm_key128 key, rm_record *ret_record) RM_WARN_UNUSED;
void rm_store_release(rm_store_reader *reader);

/* Any thread. Copies the record's slices into one queue node; stored within milliseconds.
 * RM_EBUSY: the queue is full (drop it). RM_ETOOBIG: over RM_STORE_RECORD_BYTES_MAX, or id or content_type over 256
 * bytes. RM_EIO: the store has failed. RM_EREFUSED: read-only. RM_ENOMEM. */
rm_status rm_store_put(rm_store *store, const rm_record *record) RM_WARN_UNUSED;
rm_status rm_store_delete(rm_store *store, rm_key128 key) RM_WARN_UNUSED;

/* ---- annexes and notes ------------------------------------------------------------------------------------------- */

/* An annex is what somebody keeps of a record beside it (the semantic cache: its question), under an id that is never used
 * again, 1 to UINT64_MAX - 1. It goes when its record goes or is replaced. A note is a small value by name; the one named
 * {.hi = id, .lo = 0} goes with the annex of that id, and is not kept where that one is not there (put it after); others stay
 * until they are put empty. Both count as bytes of the cache; neither is evicted by itself. */

/* Any thread. In place of the annex that the record had; nothing happens if the record, put before this, is not there.
 * RM_ETOOBIG: over RM_STORE_ANNEX_BYTES_MAX. RM_EINVAL: such an id. Else as rm_store_put. */
rm_status rm_store_put_annex(rm_store *store, rm_key128 record, uint64_t id, rm_slice bytes) RM_WARN_UNUSED;
/* Reader's thread, as rm_store_get and with its release: what is queued is found too. While the write that deletes or
 * replaces its record is queued, so may the annex be. RM_ENOTFOUND; RM_ECORRUPT (it is queued for deletion); RM_EIO. */
rm_status rm_store_get_annex(rm_store_reader *reader, uint64_t id, rm_key128 *ret_record,
                             rm_slice *ret_bytes) RM_WARN_UNUSED;
/* The highest id there ever was; 0: none. Any thread, before the first put_annex. RM_EIO. */
rm_status rm_store_last_annex(rm_store *store, uint64_t *ret_id) RM_WARN_UNUSED;
/* Committed annexes with ids over `after`, by id, `count_max` at most; `each` may end it by false. What is damaged is left out.
 * *ret_last: the last id looked at; `after` if there was none. Not on a loop thread. RM_EIO. */
rm_status rm_store_scan_annexes(rm_store *store, uint64_t after, size_t count_max,
                                bool (*each)(uint64_t id, rm_key128 record, rm_slice bytes, void *user), void *user,
                                uint64_t *ret_last) RM_WARN_UNUSED;

typedef struct rm_store_note {
    rm_key128 name;
    rm_slice bytes; /* empty: delete it */
} rm_store_note;
#define RM_STORE_NOTE_OVERHEAD_BYTES 40
/* Any thread: all of them in one commit. RM_ETOOBIG: one is over RM_STORE_ANNEX_BYTES_MAX, or all of them, each with
 * RM_STORE_NOTE_OVERHEAD_BYTES, over RM_STORE_BATCH_BYTES_MAX. Else as rm_store_put. */
rm_status rm_store_put_notes(rm_store *store, const rm_store_note *notes, size_t count) RM_WARN_UNUSED;
/* All committed notes, in no order. What is damaged is left out. Not on a loop thread. RM_EIO. */
rm_status rm_store_scan_notes(rm_store *store, bool (*each)(const rm_store_note *note, void *user),
                              void *user) RM_WARN_UNUSED;

/* What to purge: conditions are joined by AND; an unset one matches all. */
typedef struct rm_store_filter {
    const rm_key128 *key;
    const rm_key128 *tenant;
    rm_slice model, name_space; /* {NULL,0}: any. An empty name_space with ptr set means the default one */
    uint64_t created_before_ms; /* 0: any */
} rm_store_filter;

/* Blocks until it is done (not on a loop thread): deletes in bounded transactions, so that writes go on between.
 * No lookup that begins after it returns finds what matched. RM_EIO. */
rm_status rm_store_purge(rm_store *store, const rm_store_filter *filter, uint64_t *ret_count) RM_WARN_UNUSED;
/* Blocks until all that was queued before is committed. For tests, shutdown and reports; not on a loop thread. */
rm_status rm_store_flush(rm_store *store) RM_WARN_UNUSED;

void rm_store_get_stats(rm_store *store, rm_store_stats *ret_stats); /* any thread */

/* ---- ledger ------------------------------------------------------------------------------------------------------ */

/* Any thread; adds the rows to what is stored, in one transaction by the writer. RM_EBUSY, RM_ENOMEM. */
rm_status rm_store_ledger_add(rm_store *store, const rm_ledger_row *rows, size_t count) RM_WARN_UNUSED;
/* Not on a loop thread. Calls `each` for every row with hour >= since_hour, in order. RM_EIO. */
rm_status rm_store_ledger_scan(rm_store *store, uint64_t since_hour, void (*each)(void *user, const rm_ledger_row *row),
                               void *user) RM_WARN_UNUSED;

/* The per-install secret (32 bytes, in `folder`/secret, 0600; made on first use). RM_EIO (logged). */
rm_status rm_store_secret(const char *folder, uint8_t ret_secret[32]) RM_WARN_UNUSED;

#endif
