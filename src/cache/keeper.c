/* The semantic cache and the store; keeper.h says what belongs where.
 *
 *     create: the index's snapshot, if it is of this store
 *     tend:   annexes, in pieces ── the index loses and gets what differs ── notes ── ready
 *             then: store notes, maintain the index, look for what is gone, a snapshot now and then
 */
#include "remora/keeper.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "semantic_state.h"

#define ANNEX_VERSION  1
#define LOAD_ENTRIES   2048 /* in one piece */
#define SWEEP_ENTRIES  512
#define NOTES_MAX      256 /* in one commit */
#define NOTES_BYTES    (8 * RM_MIB)
#define READERS_MAX    64   /* that wait for the next caller */
#define SNAPSHOT_LEAST 4096 /* changes after which there is a new one, */
#define SNAPSHOT_SHARE 8    /* or after so much of all entries has changed */
#define VECTOR_SCALE   32767.0F

typedef enum phase { LOADING_ANNEXES = 0, MATCHING_INDEX, LOADING_NOTES, READY } phase;

struct rm_keeper {
    rm_store *store;
    rm_index *index;
    rm_semantic *semantic;
    uint32_t dimensions;
    uint64_t fingerprint;
    char *snapshot;
    _Atomic uint64_t next_id;
    _Atomic int phase;
    bool from_snapshot; /* the index has vectors that annexes need not give */
    uint64_t saved_id;  /* next_id of the latest snapshot */
    uint64_t loaded_to; /* annexes up to this id are loaded */
    uint64_t last_id;   /* the highest that there was at the start */
    size_t sweep_cursor;
    uint64_t sweep_below; /* younger entries may not have their annex yet */
    /* What could not be stored yet. */
    rm_buf note_bytes;
    rm_store_note notes[NOTES_MAX];
    size_t note_count;
    pthread_mutex_t lock; /* guards all below */
    rm_store_reader *readers[READERS_MAX];
    unsigned reader_count;
    rm_semantic_receipt *receipts; /* a ring; NULL: none yet */
    uint64_t receipt_count;
};

/* ---- readers ----------------------------------------------------------------------------------------------------- */

static rm_status take_reader(rm_keeper *keeper, rm_store_reader **ret_reader)
{
    rm_store_reader *reader = NULL;

    pthread_mutex_lock(&keeper->lock);
    if (keeper->reader_count)
        reader = keeper->readers[--keeper->reader_count];
    pthread_mutex_unlock(&keeper->lock);
    if (!reader)
        return rm_store_reader_create(keeper->store, ret_reader);
    *ret_reader = reader;
    return RM_OK;
}

static void give_reader(rm_keeper *keeper, rm_store_reader *reader)
{
    rm_store_release(reader);
    pthread_mutex_lock(&keeper->lock);
    bool kept = keeper->reader_count < READERS_MAX;
    if (kept)
        keeper->readers[keeper->reader_count++] = reader;
    pthread_mutex_unlock(&keeper->lock);
    if (!kept)
        rm_store_reader_destroy(reader);
}

/* ---- annexes ----------------------------------------------------------------------------------------------------- */

/* Then `dimensions` numbers of 16 bits, scaled, and the text. The store has a checksum over it. */
typedef struct annex_head {
    uint16_t version;
    uint8_t word, reserved;
    uint32_t dimensions, text_len;
    uint64_t fingerprint, group;
    rm_key128 partition, normal, json, numbers;
} annex_head;

static bool read_head(rm_slice bytes, annex_head *ret_head)
{
    if (bytes.len < sizeof(*ret_head))
        return false;
    memcpy(ret_head, bytes.ptr, sizeof(*ret_head));
    return ret_head->version == ANNEX_VERSION &&
           bytes.len == sizeof(*ret_head) + ret_head->dimensions * sizeof(int16_t) + ret_head->text_len;
}

/* Scaled to length 1, as far as 16 bits have lost it. */
static void read_vector(rm_slice bytes, uint32_t dimensions, float *ret_vector)
{
    const char *at = bytes.ptr + sizeof(annex_head);
    float sum = 0;

    for (uint32_t i = 0; i < dimensions; i++) {
        int16_t scaled;
        memcpy(&scaled, at + i * sizeof(scaled), sizeof(scaled));
        ret_vector[i] = (float)scaled / VECTOR_SCALE;
        sum += ret_vector[i] * ret_vector[i];
    }
    float factor = sum > 0 ? 1 / sqrtf(sum) : 0;
    for (uint32_t i = 0; i < dimensions; i++)
        ret_vector[i] *= factor;
}

static rm_slice text_of(rm_slice bytes, const annex_head *head)
{
    return rm_slice_make(bytes.ptr + bytes.len - head->text_len, head->text_len);
}

static rm_status put_annex(rm_keeper *keeper, const rm_semantic_ask *ask, uint64_t id)
{
    rm_semantic__origin origin;
    rm_buf bytes;
    rm_status status = rm_semantic__get_origin(keeper->semantic, id, &origin);

    if (status)
        return status;
    annex_head head = {.version = ANNEX_VERSION,
                       .word = origin.answer.word,
                       .dimensions = keeper->dimensions,
                       .text_len = (uint32_t)ask->text.len,
                       .fingerprint = keeper->fingerprint,
                       .group = origin.group,
                       .partition = origin.partition,
                       .normal = origin.answer.normal,
                       .json = origin.answer.json,
                       .numbers = origin.answer.numbers};
    rm_buf_init(&bytes, RM_STORE_ANNEX_BYTES_MAX);
    rm_buf_append(&bytes, &head, sizeof(head));
    for (uint32_t i = 0; i < keeper->dimensions; i++) {
        int16_t scaled = (int16_t)lrintf(fmaxf(fminf(ask->vector[i], 1), -1) * VECTOR_SCALE);
        rm_buf_append(&bytes, &scaled, sizeof(scaled));
    }
    rm_buf_append_slice(&bytes, ask->text);
    status = bytes.status ? bytes.status : rm_store_put_annex(keeper->store, ask->record, id, rm_buf_slice(&bytes));
    rm_buf_deinit(&bytes);
    return status;
}

/* With a reader, which the caller gives back where this is RM_OK. RM_ENOTFOUND: gone, damaged, or of another version. */
static rm_status hold_annex(rm_keeper *keeper, uint64_t id, rm_store_reader **ret_reader, annex_head *ret_head,
                            rm_slice *ret_bytes)
{
    rm_store_reader *reader;
    rm_key128 record;
    rm_status status = take_reader(keeper, &reader);

    if (status)
        return status;
    status = rm_store_get_annex(reader, id, &record, ret_bytes);
    if (status == RM_ECORRUPT || (status == RM_OK && !read_head(*ret_bytes, ret_head)))
        status = RM_ENOTFOUND;
    if (status)
        give_reader(keeper, reader);
    else
        *ret_reader = reader;
    return status;
}

/* rm_semantic_text */
static rm_status read_text(uint64_t id, rm_buf *out, void *user)
{
    rm_store_reader *reader;
    annex_head head;
    rm_slice bytes;
    rm_status status = hold_annex(user, id, &reader, &head, &bytes);

    if (status)
        return status == RM_EIO ? RM_ENOTFOUND : status;
    status = rm_buf_append_slice(out, text_of(bytes, &head));
    give_reader(user, reader);
    return status;
}

/* rm_index_fetch */
static rm_status fetch_vector(uint64_t id, float *ret_vector, void *user)
{
    rm_keeper *keeper = user;
    rm_store_reader *reader;
    annex_head head;
    rm_slice bytes;
    rm_status status = hold_annex(keeper, id, &reader, &head, &bytes);

    if (status)
        return status;
    if (head.dimensions == keeper->dimensions)
        read_vector(bytes, head.dimensions, ret_vector);
    else
        status = RM_ENOTFOUND;
    give_reader(keeper, reader);
    return status;
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static bool ready(rm_keeper *keeper)
{
    return atomic_load_explicit(&keeper->phase, memory_order_acquire) == READY;
}

rm_status rm_keeper_decide(rm_keeper *keeper, const rm_semantic_ask *ask, rm_semantic_decision *ret_decision)
{
    return ready(keeper) ? rm_semantic_decide(keeper->semantic, ask, ret_decision) : RM_EBUSY;
}

rm_status rm_keeper_learn(rm_keeper *keeper, const rm_semantic_ask *ask, const rm_semantic_decision *decision,
                          const rm_semantic_answer *answer, bool keep, uint64_t *ret_id)
{
    *ret_id = UINT64_MAX;
    if (!ready(keeper))
        return RM_EBUSY;
    uint64_t id = keep ? atomic_fetch_add(&keeper->next_id, 1) : UINT64_MAX;
    rm_status status = rm_semantic_learn(keeper->semantic, ask, decision, answer, id);
    if (!keep || status)
        return status;
    status = put_annex(keeper, ask, id);
    if (status)
        rm_semantic_forget(keeper->semantic, ask->partition, id);
    else
        *ret_id = id;
    return status;
}

void rm_keeper_forget(rm_keeper *keeper, rm_key128 partition, uint64_t id)
{
    rm_semantic_forget(keeper->semantic, partition, id);
}

rm_semantic *rm_keeper_semantic(rm_keeper *keeper)
{
    return keeper->semantic;
}

rm_index_stats rm_keeper_index_stats(rm_keeper *keeper)
{
    return rm_index_get_stats(keeper->index);
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

typedef struct loading {
    rm_keeper *keeper;
    float *vector;
    rm_status status;
} loading;

static bool load_annex(uint64_t id, rm_key128 record, rm_slice bytes, void *user)
{
    loading *to = user;
    rm_keeper *keeper = to->keeper;
    annex_head head;

    if (!read_head(bytes, &head) || head.fingerprint != keeper->fingerprint || head.dimensions != keeper->dimensions)
        return true;
    rm_semantic__origin origin = {
        .id = id,
        .group = head.group,
        .partition = head.partition,
        .record = record,
        .answer = {.normal = head.normal, .json = head.json, .numbers = head.numbers, .word = head.word != 0}};
    if (!keeper->from_snapshot)
        read_vector(bytes, head.dimensions, to->vector);
    rm_status status = rm_semantic__restore(keeper->semantic, &origin, keeper->from_snapshot ? NULL : to->vector);
    if (status == RM_ENOMEM)
        to->status = status;
    return to->status == RM_OK;
}

static rm_status load_annexes(rm_keeper *keeper)
{
    loading to = {.keeper = keeper, .vector = rm_alloc(keeper->dimensions * sizeof(float))};
    uint64_t last = keeper->loaded_to;

    if (!to.vector)
        return RM_ENOMEM;
    rm_status status = rm_store_scan_annexes(keeper->store, last, LOAD_ENTRIES, load_annex, &to, &last);
    rm_free(to.vector);
    if (status || to.status)
        return status ? status : to.status;
    if (last == keeper->loaded_to || last >= keeper->last_id)
        atomic_store_explicit(&keeper->phase, keeper->from_snapshot ? MATCHING_INDEX : LOADING_NOTES,
                              memory_order_release);
    keeper->loaded_to = last;
    return RM_OK;
}

/* ---- the snapshot ------------------------------------------------------------------------------------------------ */

/* Ids that the index has, once it holds no others than the entries'. */
typedef struct matching {
    rm_semantic *semantic;
    rm_buf ids;
} matching;

static bool is_entry(rm_key128 partition, uint64_t id, void *user)
{
    matching *m = user;
    rm_semantic__origin origin;

    if (rm_semantic__get_origin(m->semantic, id, &origin) != RM_OK || !rm_key128_eq(origin.partition, partition))
        return false;
    rm_buf_append(&m->ids, &id, sizeof(id));
    return true;
}

static int by_id(const void *a, const void *b)
{
    uint64_t left, right;
    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return (left > right) - (left < right);
}

/* Gives the index the vectors of entries that came after the snapshot, or while it was written. */
static rm_status add_missing(rm_keeper *keeper, const rm_buf *ids)
{
    rm_semantic__origin *origins = rm_alloc(SWEEP_ENTRIES * sizeof(*origins));
    float *vector = rm_alloc(keeper->dimensions * sizeof(*vector));
    rm_status status = origins && vector ? RM_OK : RM_ENOMEM;
    size_t cursor = 0, count = 1;

    while (status == RM_OK && count) {
        count = rm_semantic__list(keeper->semantic, &cursor, origins, SWEEP_ENTRIES);
        for (size_t i = 0; status == RM_OK && i < count; i++) {
            const rm_semantic__origin *o = &origins[i];
            if (ids->len && bsearch(&o->id, ids->ptr, ids->len / sizeof(o->id), sizeof(o->id), by_id))
                continue;
            status = fetch_vector(o->id, vector, keeper);
            if (status == RM_OK)
                status = rm_index_add(keeper->index, o->partition, o->id, vector);
            if (status == RM_ENOTFOUND || status == RM_EINVAL) {
                rm_semantic_forget(keeper->semantic, o->partition, o->id);
                status = RM_OK;
            }
        }
        count = cursor ? count : 0; /* that was the last of them */
    }
    rm_free(origins);
    rm_free(vector);
    return status;
}

static rm_status match_index(rm_keeper *keeper)
{
    matching m = {.semantic = keeper->semantic};
    uint64_t removed;

    rm_buf_init(&m.ids, (size_t)1024 * RM_MIB);
    rm_status status = rm_index_retain(keeper->index, is_entry, &m, &removed);
    if (!status)
        status = m.ids.status;
    if (!status && m.ids.len)
        qsort(m.ids.ptr, m.ids.len / sizeof(uint64_t), sizeof(uint64_t), by_id);
    if (!status)
        status = add_missing(keeper, &m.ids);
    rm_buf_deinit(&m.ids);
    if (!status)
        atomic_store_explicit(&keeper->phase, LOADING_NOTES, memory_order_release);
    return status;
}

/* One that is damaged, or of another store, model or version, is as good as none. */
static rm_status load_snapshot(rm_keeper *keeper, const rm_index_options *options)
{
    uint64_t sequence;
    rm_status status = rm_index_load(keeper->snapshot, options, &keeper->index, &sequence);

    if (status == RM_OK && sequence > keeper->last_id) {
        rm_index_destroy(keeper->index);
        keeper->index = NULL;
        status = RM_EUNSUPPORTED;
    }
    if (status != RM_OK && status != RM_ENOTFOUND)
        rm_log(RM_LOG_WARN, "cache", "%s cannot be used (%s): the index is built anew", keeper->snapshot,
               rm_status_text(status));
    keeper->from_snapshot = status == RM_OK;
    keeper->saved_id = keeper->from_snapshot ? sequence + 1 : 1;
    return status;
}

static rm_status save_snapshot(rm_keeper *keeper)
{
    uint64_t next = atomic_load(&keeper->next_id);
    rm_status status = rm_index_save(keeper->index, keeper->snapshot, next - 1);

    /* A failure, too, waits for more changes. */
    keeper->saved_id = next;
    return status;
}

static bool snapshot_is_due(rm_keeper *keeper)
{
    uint64_t next = atomic_load(&keeper->next_id);

    if (!keeper->snapshot || next < keeper->saved_id + SNAPSHOT_LEAST)
        return false;
    return next - keeper->saved_id > rm_index_get_stats(keeper->index).entries / SNAPSHOT_SHARE;
}

/* Notes of what is gone are deleted with the next that are stored. */
static bool load_note(const rm_store_note *note, void *user)
{
    rm_keeper *keeper = user;

    if (rm_semantic__restore_note(keeper->semantic, note) == RM_ENOTFOUND && keeper->note_count < NOTES_MAX)
        keeper->notes[keeper->note_count++] = (rm_store_note){.name = note->name};
    return true;
}

static rm_status load_notes(rm_keeper *keeper)
{
    rm_status status = rm_store_scan_notes(keeper->store, load_note, keeper);

    if (status)
        return status;
    rm_semantic__restored(keeper->semantic);
    atomic_store_explicit(&keeper->phase, READY, memory_order_release);
    return RM_OK;
}

/* ---- slow work --------------------------------------------------------------------------------------------------- */

/* What could not be stored stays and is tried again. */
static rm_status store_notes(rm_keeper *keeper, bool *ret_more)
{
    rm_status status = RM_OK;

    if (keeper->note_count == 0) {
        rm_buf_clear(&keeper->note_bytes);
        status = rm_semantic__take_notes(keeper->semantic, &keeper->note_bytes, keeper->notes, NOTES_MAX,
                                         &keeper->note_count);
        keeper->note_bytes.status = RM_OK;
    }
    *ret_more |= keeper->note_count == NOTES_MAX;
    if (!status && keeper->note_count)
        status = rm_store_put_notes(keeper->store, keeper->notes, keeper->note_count);
    if (!status)
        keeper->note_count = 0;
    else
        *ret_more = false;
    return status;
}

/* Entries whose record has expired, was evicted or purged. */
static rm_status sweep(rm_keeper *keeper)
{
    rm_semantic__origin *origins = rm_alloc(SWEEP_ENTRIES * sizeof(*origins));
    rm_store_reader *reader;

    if (!origins)
        return RM_ENOMEM;
    rm_status status = take_reader(keeper, &reader);
    if (status) {
        rm_free(origins);
        return status;
    }
    size_t count = rm_semantic__list(keeper->semantic, &keeper->sweep_cursor, origins, SWEEP_ENTRIES);
    for (size_t i = 0; i < count; i++) {
        rm_key128 record;
        rm_slice bytes;
        if (origins[i].id >= keeper->sweep_below)
            continue;
        rm_status found = rm_store_get_annex(reader, origins[i].id, &record, &bytes);
        rm_store_release(reader);
        if (found == RM_ENOTFOUND || found == RM_ECORRUPT)
            rm_semantic_forget(keeper->semantic, origins[i].partition, origins[i].id);
    }
    keeper->sweep_below = atomic_load(&keeper->next_id);
    give_reader(keeper, reader);
    rm_free(origins);
    return RM_OK;
}

rm_status rm_keeper_tend(rm_keeper *keeper, bool *ret_more)
{
    int phase_now = atomic_load_explicit(&keeper->phase, memory_order_acquire);
    bool more = false;

    if (phase_now != READY) {
        rm_status loaded = phase_now == LOADING_ANNEXES  ? load_annexes(keeper)
                           : phase_now == MATCHING_INDEX ? match_index(keeper)
                                                         : load_notes(keeper);
        *ret_more = !loaded;
        return loaded;
    }
    rm_status stored = store_notes(keeper, &more), maintained = rm_index_maintain(keeper->index, &more);
    rm_status other = RM_OK;
    if (!more)
        other = snapshot_is_due(keeper) ? save_snapshot(keeper) : sweep(keeper);
    *ret_more = more;
    return stored ? stored : maintained ? maintained : other;
}

/* ---- receipts and feedback --------------------------------------------------------------------------------------- */

bool rm_keeper_is_ready(rm_keeper *keeper)
{
    return ready(keeper);
}

void rm_keeper_add_receipt(rm_keeper *keeper, const rm_semantic_receipt *receipt)
{
    pthread_mutex_lock(&keeper->lock);
    if (!keeper->receipts)
        keeper->receipts = rm_calloc(RM_SEMANTIC_RECEIPTS_MAX, sizeof(*receipt));
    if (keeper->receipts)
        keeper->receipts[keeper->receipt_count++ % RM_SEMANTIC_RECEIPTS_MAX] = *receipt;
    pthread_mutex_unlock(&keeper->lock);
}

/* Under the lock. */
static rm_semantic_receipt *find_receipt(rm_keeper *keeper, rm_slice id)
{
    uint64_t kept = keeper->receipt_count < RM_SEMANTIC_RECEIPTS_MAX ? keeper->receipt_count : RM_SEMANTIC_RECEIPTS_MAX;

    for (uint64_t i = 1; i <= kept; i++) {
        rm_semantic_receipt *r = &keeper->receipts[(keeper->receipt_count - i) % RM_SEMANTIC_RECEIPTS_MAX];
        if (rm_slice_eq(rm_slice_cstr(r->id), id))
            return r;
    }
    return NULL;
}

rm_status rm_keeper_get_receipt(rm_keeper *keeper, rm_slice id, rm_semantic_receipt *ret_receipt)
{
    pthread_mutex_lock(&keeper->lock);
    const rm_semantic_receipt *found = find_receipt(keeper, id);
    if (found)
        *ret_receipt = *found;
    pthread_mutex_unlock(&keeper->lock);
    return found ? RM_OK : RM_ENOTFOUND;
}

/* Marks it as told so, or, where that came to nothing, as not told. */
static rm_status tell(rm_keeper *keeper, rm_slice id, bool right, bool told, rm_semantic_receipt *ret_before)
{
    pthread_mutex_lock(&keeper->lock);
    rm_semantic_receipt *found = find_receipt(keeper, id);
    if (found) {
        *ret_before = *found;
        found->told = told ? found->told | 1U << right : found->told & ~(1U << right);
    }
    pthread_mutex_unlock(&keeper->lock);
    return found ? RM_OK : RM_ENOTFOUND;
}

/* The fresh answer, with its annex; the entry is not served without that, and swept. */
static rm_status delete_fresh(rm_keeper *keeper, const rm_semantic_receipt *receipt, rm_feedback_effect *ret_effect)
{
    rm_store_filter filter = {.key = &receipt->record};
    uint64_t count = 0;
    rm_status status = rm_store_purge(keeper->store, &filter, &count);

    if (!status)
        *ret_effect = count ? RM_FEEDBACK_DELETED : RM_FEEDBACK_NOTHING;
    return status;
}

rm_status rm_keeper_feedback(rm_keeper *keeper, rm_slice id, bool right, rm_feedback_effect *ret_effect)
{
    rm_semantic_receipt receipt;
    rm_feedback_effect effect = RM_FEEDBACK_NOTHING;
    rm_status status = tell(keeper, id, right, true, &receipt);

    if (status)
        return status;
    if (receipt.told & 1U << right) {
        effect = RM_FEEDBACK_AGAIN;
    } else if (receipt.decision.verdict == RM_VERDICT_HIT) {
        rm_semantic_feedback(keeper->semantic, rm_slice_cstr(receipt.name_space), &receipt.decision, right);
        effect = right ? RM_FEEDBACK_LEARNT : RM_FEEDBACK_QUARANTINE;
    } else if (!right) {
        status = delete_fresh(keeper, &receipt, &effect);
        if (effect == RM_FEEDBACK_NOTHING) /* the answer may still be on its way */
            (void)tell(keeper, id, right, false, &receipt);
    }
    if (!status)
        *ret_effect = effect;
    return status;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static rm_status begin(rm_keeper *keeper, const rm_keeper_options *options)
{
    rm_index_options of_index = {.dimensions = options->dimensions,
                                 .flat_max = options->flat_max,
                                 .fingerprint = options->fingerprint,
                                 .fetch = fetch_vector,
                                 .user = keeper};
    rm_semantic_options of_semantic = {.model = options->model,
                                       .text = read_text,
                                       .user = keeper,
                                       .audit_share = options->audit_share,
                                       .seed = options->seed,
                                       .guards_ignored = options->guards_ignored};
    rm_status status = rm_store_last_annex(options->store, &keeper->last_id);

    atomic_init(&keeper->next_id, keeper->last_id + 1);
    if (!status && (!keeper->snapshot || load_snapshot(keeper, &of_index) != RM_OK))
        status = rm_index_create(&of_index, &keeper->index);
    of_semantic.index = keeper->index;
    return status ? status : rm_semantic_create(&of_semantic, &keeper->semantic);
}

rm_status rm_keeper_create(const rm_keeper_options *options, rm_keeper **ret_keeper)
{
    rm_keeper *keeper = rm_calloc(1, sizeof(*keeper));

    if (!keeper)
        return RM_ENOMEM;
    keeper->store = options->store;
    keeper->dimensions = options->dimensions;
    keeper->fingerprint = rm_hash64(rm_slice_cstr(options->fingerprint));
    rm_buf_init(&keeper->note_bytes, NOTES_BYTES);
    pthread_mutex_init(&keeper->lock, NULL);
    rm_status status = RM_OK;
    if (options->snapshot) {
        keeper->snapshot = rm_strdup(options->snapshot);
        status = keeper->snapshot ? RM_OK : RM_ENOMEM;
    }
    if (!status)
        status = begin(keeper, options);
    if (status) {
        rm_keeper_destroy(keeper);
        return status;
    }
    *ret_keeper = keeper;
    return RM_OK;
}

void rm_keeper_destroy(rm_keeper *keeper)
{
    if (!keeper)
        return;
    for (bool more = ready(keeper); more;) {
        more = false;
        if (store_notes(keeper, &more) != RM_OK)
            rm_log(RM_LOG_WARN, "cache", "what the semantic cache learnt last could not be stored");
    }
    if (keeper->snapshot && ready(keeper) && keeper->saved_id != atomic_load(&keeper->next_id) &&
        save_snapshot(keeper) != RM_OK)
        rm_log(RM_LOG_WARN, "cache", "%s could not be written: the next start builds the index anew", keeper->snapshot);
    while (keeper->reader_count)
        rm_store_reader_destroy(keeper->readers[--keeper->reader_count]);
    rm_semantic_destroy(keeper->semantic);
    rm_index_destroy(keeper->index);
    rm_buf_deinit(&keeper->note_bytes);
    rm_free(keeper->receipts);
    rm_free(keeper->snapshot);
    pthread_mutex_destroy(&keeper->lock);
    rm_free(keeper);
}
