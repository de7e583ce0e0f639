/* What a request asks, taken apart: the last user's text, which is compared by meaning, and all else, which must be the
 * same to the byte and makes the partition:
 *
 *     HMAC(secret; "remora semantic 1" │ op │ upstream │ scope │ name space │ variant │ canonical body with a hole)
 *
 * framed as in exact.c. The hole is where the text stood. It is no JSON, so no text and no other message looks like it;
 * the text's place and all around it (one string or several parts, marks on a part) stay in the key. That callers cannot
 * meet in one partition is a matter of the key, not of a filter that a search might forget. */
#include "remora/semantic.h"

#include "identity.h"

#define PARTITION_VERSION   "remora semantic 1"
#define CANONICAL_BYTES_MAX (RM_BODY_BYTES_MAX + 64 * RM_KIB)
#define IDENTITY_BYTES      128 /* the first parts, but for the texts that they hold */
#define SECRET_BYTES        32

/* ---- names ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *text;
} fitnesses[] = {
#define X(code, name, text) {name, text},
    RM_SEMANTIC_FITNESSES(X)
#undef X
};

const char *rm_semantic_fitness_name(rm_semantic_fitness fitness)
{
    return fitness < RM_SEMANTIC_FITNESS_COUNT ? fitnesses[fitness].name : "unknown";
}

const char *rm_semantic_fitness_text(rm_semantic_fitness fitness)
{
    return fitness < RM_SEMANTIC_FITNESS_COUNT ? fitnesses[fitness].text : "unknown";
}

/* ---- the last turn ----------------------------------------------------------------------------------------------- */

typedef enum speaker {
    SPEAKER_OTHER = 0, /* system, developer, whoever is not known: belongs to the turn it stands in */
    SPEAKER_USER,
    SPEAKER_MODEL,
    SPEAKER_TOOL
} speaker;

typedef struct voice {
    rm_slice name;
    speaker who;
} voice;

static const voice roles[] = {
    {RM_SLICE("user"), SPEAKER_USER},
    {RM_SLICE("assistant"), SPEAKER_MODEL},
    {RM_SLICE("tool"), SPEAKER_TOOL},
    {RM_SLICE("function"), SPEAKER_TOOL}, /* before there were tools */
};

/* Items of Responses that are no messages, by the end of their type. */
static const voice item_types[] = {
    {RM_SLICE("_call"), SPEAKER_MODEL},
    {RM_SLICE("reasoning"), SPEAKER_MODEL},
    {RM_SLICE("_approval_request"), SPEAKER_MODEL},
    {RM_SLICE("_call_output"), SPEAKER_TOOL},
    {RM_SLICE("_approval_response"), SPEAKER_TOOL},
};

/* How an operation's body holds what is asked. */
typedef struct body_form {
    const char *member;
    bool string;     /* the member may be the text itself */
    rm_slice text;   /* the type of a part that is text; none: the member is no list of messages */
    bool item_types; /* not every item is a message */
} body_form;

static const body_form forms[RM_OP_COUNT] = {
    [RM_OP_CHAT] = {.member = "messages", .text = RM_SLICE("text")},
    [RM_OP_MESSAGES] = {.member = "messages", .text = RM_SLICE("text")},
    [RM_OP_RESPONSES] = {.member = "input", .string = true, .text = RM_SLICE("input_text"), .item_types = true},
    [RM_OP_COMPLETIONS] = {.member = "prompt", .string = true},
};

/* What is known of the turn that the walk over the conversation is in. */
typedef struct last_turn {
    const rm_json *text; /* the last text of the last item; NULL: it has none, or is not the user's */
    bool tool, media;
    bool answered; /* the model spoke, and not to call a tool whose result came since */
} last_turn;

static bool ends_with(rm_slice text, rm_slice end)
{
    return text.len >= end.len && rm_slice_eq(rm_slice_make(text.ptr + text.len - end.len, end.len), end);
}

static speaker find_speaker(const body_form *form, const rm_json *item)
{
    rm_slice type = form->item_types ? rm_json_string(rm_json_get(item, "type")) : RM_SLICE_NONE;
    rm_slice role = rm_json_string(rm_json_get(item, "role"));
    bool message = type.len == 0 || rm_slice_eq(type, RM_SLICE("message"));

    for (size_t i = 0; message && i < RM_COUNT(roles); i++)
        if (rm_slice_eq(role, roles[i].name))
            return roles[i].who;
    for (size_t i = 0; !message && i < RM_COUNT(item_types); i++)
        if (ends_with(type, item_types[i].name))
            return item_types[i].who;
    return SPEAKER_OTHER;
}

static void take_part(const body_form *form, const rm_json *part, last_turn *turn)
{
    rm_slice type = rm_json_string(rm_json_get(part, "type"));

    if (rm_slice_eq(type, form->text))
        turn->text = rm_json_get(part, "text");
    else if (ends_with(type, RM_SLICE("tool_result")))
        turn->tool = true;
    else
        turn->media = true; /* what is not known may be */
}

static void take_item(const body_form *form, const rm_json *item, last_turn *turn)
{
    const rm_json *content = rm_json_get(item, "content");

    turn->text = NULL;
    switch (find_speaker(form, item)) {
    case SPEAKER_USER:
        if (turn->answered)
            turn->tool = turn->media = turn->answered = false;
        if (rm_json_typeof(content) == RM_JSON_STRING)
            turn->text = content;
        else if (rm_json_typeof(content) == RM_JSON_ARRAY)
            for (rm_json_iter it = rm_json_iterate(content); rm_json_iter_next(&it);)
                take_part(form, it.value, turn);
        break;
    case SPEAKER_MODEL:
        turn->answered = true;
        break;
    case SPEAKER_TOOL:
        turn->tool = true;
        turn->answered = false;
        break;
    case SPEAKER_OTHER:
        break;
    }
}

/* ---- the text ---------------------------------------------------------------------------------------------------- */

static bool is_blank(rm_slice text)
{
    while (text.len > 0 && memchr(" \t\r\n", text.ptr[text.len - 1], 4))
        text.len--;
    return text.len == 0;
}

static rm_semantic_fitness judge_text(const rm_json *value)
{
    rm_slice text = rm_json_string(value);

    if (text.len > RM_GUARD_TEXT_BYTES_MAX)
        return RM_SEMANTIC_TOO_LONG;
    return is_blank(text) ? RM_SEMANTIC_NO_USER_TEXT : RM_SEMANTIC_FIT;
}

/* The prompt comes back before the completion, so another's would. */
static bool echoes(const rm_request_info *info)
{
    const rm_json *echo = info->op == RM_OP_COMPLETIONS ? rm_json_get(info->root, "echo") : NULL;
    return rm_json_bool(echo, echo && rm_json_typeof(echo) != RM_JSON_NULL);
}

/* RM_SEMANTIC_FIT: *ret_text is a string value. */
static rm_semantic_fitness find_text(const rm_request_info *info, const rm_json **ret_text)
{
    const body_form *form = &forms[info->op];
    const rm_json *asked = form->member ? rm_json_get(info->root, form->member) : NULL;
    bool list = rm_json_typeof(asked) == RM_JSON_ARRAY;
    last_turn turn = {.text = NULL};

    if (!form->member || (list && form->text.len == 0))
        return RM_SEMANTIC_OPERATION;
    if (info->stateful)
        return RM_SEMANTIC_STATEFUL;
    if (info->choices != 1)
        return RM_SEMANTIC_CHOICES;
    if (echoes(info))
        return RM_SEMANTIC_ECHO;
    if (form->string && !list)
        turn.text = asked;
    for (rm_json_iter it = rm_json_iterate(list ? asked : NULL); rm_json_iter_next(&it);)
        take_item(form, it.value, &turn);
    if (turn.tool)
        return RM_SEMANTIC_TOOL_RESULT;
    if (turn.media)
        return RM_SEMANTIC_MEDIA;
    *ret_text = turn.text;
    return judge_text(turn.text);
}

/* ---- the partition ----------------------------------------------------------------------------------------------- */

static rm_key128 key_of(const uint8_t mac[RM_HMAC_BYTES])
{
    rm_key128 key = {0, 0};
    for (size_t i = 0; i < 8; i++) {
        key.hi = key.hi << 8 | mac[i];
        key.lo = key.lo << 8 | mac[8 + i];
    }
    return key;
}

static rm_status make_partition(const rm_request_info *info, rm_slice upstream, const rm_tenant *tenant,
                                rm_slice name_space, rm_slice variant, const uint8_t secret[SECRET_BYTES],
                                const rm_json *text, rm_key128 *ret_partition)
{
    uint8_t mac[RM_HMAC_BYTES];
    rm_op op = info->op;
    rm_buf out;

    rm_buf_init(&out, CANONICAL_BYTES_MAX);
    /* Most bodies are no shorter than their canonical text. */
    rm_status status =
        rm_buf_reserve(&out, info->body_bytes + IDENTITY_BYTES + upstream.len + name_space.len + variant.len);
    rm_cache__append_identity(PARTITION_VERSION, op, upstream, tenant, name_space, variant, &out);
    status = status ? status : out.status;
    if (!status)
        status = rm_json_canonical_without(info->root, text, rm_provider_neutral_member, &op, &out);
    if (!status)
        status = rm_hmac_sha256(rm_slice_make((const char *)secret, SECRET_BYTES), rm_buf_slice(&out), mac);
    if (!status)
        *ret_partition = key_of(mac);
    rm_buf_deinit(&out);
    return status;
}

rm_status rm_semantic_question_read(const rm_request_info *info, rm_slice upstream, const rm_tenant *tenant,
                                    rm_slice name_space, rm_slice variant, const uint8_t secret[SECRET_BYTES],
                                    rm_semantic_question *ret_question)
{
    const rm_json *text = NULL;
    rm_semantic_question question = {.fitness = find_text(info, &text)};

    if (question.fitness == RM_SEMANTIC_FIT) {
        rm_status status =
            make_partition(info, upstream, tenant, name_space, variant, secret, text, &question.partition);
        if (status == RM_OK)
            question.text = rm_json_string(text);
        else if (status == RM_EPARSE || status == RM_ETOOBIG)
            question.fitness = RM_SEMANTIC_NOT_CANONICAL;
        else
            return status;
    }
    *ret_question = question;
    return RM_OK;
}
