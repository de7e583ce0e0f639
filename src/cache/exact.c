/* The exact cache. A request's identity is the text of what was asked, not its hash:
 *
 *     "remora exact 1" │ op │ upstream │ scope, 16 bytes │ name space │ variant │ canonical body
 *
 * each part but the last with its length before it, so that no two lists of parts make the same bytes. The dialect
 * goes with the op; the model stands in the body. The key is the hash of all of it and only finds the record: a hit
 * compares the bytes. */
#include "remora/cache.h"

#include "identity.h"

#define KEY_VERSION         "remora exact 1"
#define CANONICAL_BYTES_MAX (RM_BODY_BYTES_MAX + 64 * RM_KIB)
#define IDENTITY_BYTES      128 /* the first parts, but for the texts that they hold */
#define HTTP_OK             200
#define MS_A_SECOND         1000ULL

/* ---- key --------------------------------------------------------------------------------------------------------- */

static void append_part(rm_buf *out, rm_slice part)
{
    uint8_t len[4] = {(uint8_t)part.len, (uint8_t)(part.len >> 8), (uint8_t)(part.len >> 16),
                      (uint8_t)(part.len >> 24)};
    rm_buf_append(out, len, sizeof(len));
    rm_buf_append_slice(out, part);
}

void rm_cache__append_identity(const char *version, rm_op op, rm_slice upstream, const rm_tenant *tenant,
                               rm_slice name_space, rm_slice variant, rm_buf *out)
{
    append_part(out, rm_slice_cstr(version));
    append_part(out, rm_slice_cstr(rm_op_name(op)));
    append_part(out, upstream);
    append_part(out, rm_slice_make((const char *)&tenant->scope, sizeof(tenant->scope)));
    append_part(out, name_space);
    append_part(out, variant);
}

static rm_status append_whole(const rm_request_info *info, rm_slice upstream, const rm_tenant *tenant,
                              rm_slice name_space, rm_slice variant, rm_buf *out)
{
    rm_op op = info->op;
    rm_cache__append_identity(KEY_VERSION, op, upstream, tenant, name_space, variant, out);
    return out->status ? out->status : rm_json_canonical(info->root, rm_provider_neutral_member, &op, out);
}

rm_status rm_exact_key_make(const rm_request_info *info, rm_slice upstream, const rm_tenant *tenant,
                            rm_slice name_space, rm_slice variant, rm_arena *arena, rm_exact_key *ret_key)
{
    rm_buf text;
    rm_buf_init(&text, CANONICAL_BYTES_MAX);
    /* Most bodies are no shorter than their canonical text. */
    rm_status status =
        rm_buf_reserve(&text, info->body_bytes + IDENTITY_BYTES + upstream.len + name_space.len + variant.len);
    if (!status)
        status = append_whole(info, upstream, tenant, name_space, variant, &text);
    if (!status) {
        rm_slice canonical = rm_arena_dup(arena, rm_buf_slice(&text));
        if (canonical.ptr)
            *ret_key = (rm_exact_key){.key = rm_hash128(canonical), .canonical = canonical};
        else
            status = RM_ENOMEM;
    }
    rm_buf_deinit(&text);
    return status;
}

/* ---- lookup ------------------------------------------------------------------------------------------------------ */

/* How long after its end an entry may still be used for one purpose; saturates. */
static bool within(uint64_t expires_ms, uint64_t grace_ms, uint64_t now_ms)
{
    return now_ms < expires_ms || now_ms - expires_ms < grace_ms;
}

/* The caller's ttl is for what is stored; how old an answer may be is max_age. RFC 9111 5.2.1.1, RFC 5861. */
bool rm_exact_is_fresh(const rm_config *config, const rm_controls *controls, const rm_record *record, uint64_t now_ms,
                       rm_freshness *ret_freshness)
{
    uint64_t age_ms = now_ms > record->created_ms ? now_ms - record->created_ms : 0;
    uint64_t if_error_ms = controls->stale_if_error_ms >= 0 ? (uint64_t)controls->stale_if_error_ms
                                                            : config->cache.exact.stale_if_error_ms;
    if (controls->max_age_ms >= 0 && age_ms > (uint64_t)controls->max_age_ms)
        return false;
    if (!record->expires_ms || now_ms < record->expires_ms)
        *ret_freshness = RM_FRESH;
    else if (within(record->expires_ms, config->cache.exact.stale_while_revalidate_ms, now_ms))
        *ret_freshness = RM_STALE_REVALIDATE;
    else if (within(record->expires_ms, if_error_ms, now_ms))
        *ret_freshness = RM_STALE_ERROR;
    else
        return false;
    return true;
}

rm_status rm_exact_lookup(rm_store_reader *reader, const rm_config *config, const rm_exact_key *key,
                          const rm_controls *controls, uint64_t now_ms, rm_record *ret_record,
                          rm_freshness *ret_freshness)
{
    rm_record record;
    rm_freshness freshness;
    rm_status status = rm_store_get(reader, key->key, &record);
    if (status)
        return status;
    if (!rm_slice_eq(record.canonical, key->canonical) ||
        !rm_exact_is_fresh(config, controls, &record, now_ms, &freshness)) {
        rm_store_release(reader);
        return RM_ENOTFOUND;
    }
    *ret_record = record;
    *ret_freshness = freshness;
    return RM_OK;
}

/* ---- render ------------------------------------------------------------------------------------------------------ */

/* Stored form to asked form; *ret_content is the record's own where they are the same. */
static rm_status convert(const rm_record *record, const rm_request_info *info, rm_buf *scratch, rm_slice *ret_content)
{
    bool stored_events = record->form == RM_RECORD_EVENTS;
    rm_status status;
    if (stored_events == info->stream &&
        (!info->stream || rm_provider_replay_is_plain(info->op, info->include_usage))) {
        *ret_content = record->content;
        return RM_OK;
    }
    rm_buf_clear(scratch);
    if (stored_events && info->stream)
        status = rm_provider_replay_events(info->op, record->content, info->include_usage, scratch);
    else if (stored_events)
        status = rm_provider_events_to_body(info->op, record->content, scratch);
    else
        status = rm_provider_body_to_events(info->op, record->content, info->include_usage, scratch);
    if (!status)
        *ret_content = rm_buf_slice(scratch);
    return status;
}

static void take_over(rm_buf *scratch, rm_buf *other, rm_slice *ret_content)
{
    rm_buf_deinit(scratch);
    *scratch = *other;
    *ret_content = rm_buf_slice(scratch);
}

static rm_status refresh_ids(const rm_request_info *info, uint64_t now_ms, rm_rng *rng, rm_buf *scratch,
                             rm_slice *content)
{
    rm_buf fresh;
    rm_buf_init(&fresh, scratch->max);
    rm_status status = rm_provider_refresh_ids(info->op, info->stream, *content, now_ms / MS_A_SECOND, rng, &fresh);
    if (status)
        rm_buf_deinit(&fresh);
    else
        take_over(scratch, &fresh, content);
    return status;
}

/* What the answer repeats of the first caller's request becomes this one's: that one may be another tenant. */
static rm_status set_echo(const rm_request_info *info, rm_buf *scratch, rm_slice *content)
{
    rm_arena arena;
    rm_echo echo;
    rm_buf own;
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_buf_init(&own, scratch->max);
    rm_status status = rm_provider_read_echo(info, &arena, &echo);
    if (!status)
        status = rm_provider_set_echo(&echo, info->stream, *content, &own);
    rm_arena_deinit(&arena);
    if (status)
        rm_buf_deinit(&own);
    else
        take_over(scratch, &own, content);
    return status == RM_ENOTFOUND ? RM_OK : status;
}

rm_status rm_exact_render(const rm_record *record, const rm_request_info *info, const rm_config *config,
                          uint64_t now_ms, rm_rng *rng, rm_buf *scratch, rm_slice *ret_content)
{
    rm_slice content;
    rm_status status = convert(record, info, scratch, &content);
    if (!status && rm_provider_echoes(info->op))
        status = set_echo(info, scratch, &content);
    if (!status && config->cache.exact.fresh_ids)
        status = refresh_ids(info, now_ms, rng, scratch, &content);
    if (!status)
        *ret_content = content;
    return status;
}

/* ---- store ------------------------------------------------------------------------------------------------------- */

bool rm_exact_storable(const rm_config *config, int http_status, const rm_answer *answer, bool stream)
{
    if (http_status != HTTP_OK || answer->error || !answer->terminal)
        return false;
    switch (answer->finish) {
    case RM_FINISH_STOP:
        return true;
    case RM_FINISH_NONE: /* embeddings have none; a stream that never said why it ended is not known to be whole */
        return !stream;
    case RM_FINISH_LENGTH:
    case RM_FINISH_FILTER:
        return config->cache.exact.store_truncated;
    case RM_FINISH_OTHER: /* a reason that nobody here knows */
        return false;
    }
    return false;
}
