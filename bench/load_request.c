/* Puts requests together: the same bytes for the same question, whatever else is asked between. */
#include "load_internal.h"

typedef struct load_op {
    const char *name, *path;
    const char *text_open, *text_close; /* around the question in the body */
} load_op;

/* The first row is the default. */
static const load_op ops[] = {
    {"chat", "/chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"", "\"}]"},
    {"completions", "/completions", "\"prompt\":\"", "\""},
    {"embeddings", "/embeddings", "\"input\":\"", "\""},
    {"responses", "/responses", "\"store\":false,\"input\":\"", "\""},
    {"messages", "/messages", "\"messages\":[{\"role\":\"user\",\"content\":\"", "\"}]"},
};

static const load_op *find_op(const char *name)
{
    for (size_t i = 0; i < RM_COUNT(ops); i++)
        if (strcmp(ops[i].name, name) == 0)
            return &ops[i];
    return NULL;
}

/* "http://host:port/path" into a socket address, the Host header and a path; a base URL gets the operation's path. */
static rm_status resolve(rm_load_target *target, const char *op_path, bool get)
{
    rm_slice url = rm_slice_cstr(target->url);
    if (!rm_slice_has_prefix(url, RM_SLICE("http://")))
        return RM_EINVAL;
    const char *host = url.ptr + 7;
    const char *slash = strchr(host, '/');
    size_t host_len = slash ? (size_t)(slash - host) : strlen(host);
    rm_slice path = slash ? rm_slice_cstr(slash) : RM_SLICE("/v1");
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    bool base =
        !get && (rm_slice_eq(path, RM_SLICE("/")) || (path.len >= 3 && memcmp(path.ptr + path.len - 3, "/v1", 3) == 0));
    if (rm_slice_eq(path, RM_SLICE("/")) && base)
        path = RM_SLICE("/v1");
    rm_buf text;
    rm_buf_init(&text, RM_HEADER_BYTES_MAX);
    rm_buf_append_slice(&text, path);
    if (base)
        rm_buf_append_cstr(&text, op_path);
    target->path = text.status == RM_OK ? rm_slice_dup(rm_buf_slice(&text)) : NULL;
    rm_buf_deinit(&text);
    target->host = rm_slice_dup(rm_slice_make(host, host_len));
    if (!target->path || !target->host)
        return RM_ENOMEM;
    char name[256];
    const char *colon = strrchr(target->host, ':');
    if (colon && strchr(colon, ']'))
        colon = NULL;
    size_t name_len = colon ? (size_t)(colon - target->host) : host_len;
    if (name_len >= 2 && target->host[0] == '[')
        snprintf(name, sizeof(name), "%.*s", (int)(name_len - 2), target->host + 1);
    else
        snprintf(name, sizeof(name), "%.*s", (int)name_len, target->host);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (getaddrinfo(name, colon ? colon + 1 : "80", &hints, &found) != 0)
        return RM_ECONNECT;
    memcpy(&target->address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return RM_OK;
}

/* Every prompt escaped once, so that sending copies bytes only. */
static rm_status escape_prompts(rm_load_options *options)
{
    const rm_bench_prompts *prompts = &options->prompts;
    rm_buf all;
    rm_buf_init(&all, SIZE_MAX);
    size_t *ends = rm_calloc(prompts->text_count, sizeof(*ends));
    options->escaped = rm_calloc(prompts->text_count, sizeof(*options->escaped));
    rm_status status = ends && options->escaped ? RM_OK : RM_ENOMEM;
    for (size_t i = 0; status == RM_OK && i < prompts->text_count; i++) {
        status = rm_buf_append_json_escaped(&all, prompts->texts[i]);
        ends[i] = all.len;
    }
    for (size_t i = 0; status == RM_OK && i < prompts->text_count; i++) {
        size_t begin = i ? ends[i - 1] : 0;
        options->escaped[i] = rm_slice_make(all.ptr + begin, ends[i] - begin);
    }
    rm_free(ends);
    options->escaped_bytes = all.ptr; /* the buffer's memory lives on as the slices' */
    return status;
}

static rm_status read_body_file(rm_load_options *options)
{
    FILE *file = fopen(options->body_path, "rb");
    if (!file)
        return RM_EIO;
    char piece[4096];
    size_t len;
    while ((len = fread(piece, 1, sizeof(piece), file)) > 0)
        rm_buf_append(&options->body_file, piece, len);
    fclose(file);
    return options->body_file.status;
}

rm_status rm_load__request_prepare(rm_load_options *options)
{
    const load_op *op = find_op(options->op);
    if (!op)
        return RM_EINVAL;
    rm_buf_init(&options->body_file, RM_LOAD_REQUEST_BYTES_MAX);
    for (size_t i = 0; i < options->target_count; i++) {
        rm_status status = resolve(&options->targets[i], op->path, options->get);
        if (status != RM_OK)
            return status;
    }
    rm_status status = rm_bench__prompts_load(options->prompts_path, &options->prompts);
    if (status == RM_OK)
        status = escape_prompts(options);
    if (status == RM_OK && options->body_path)
        status = read_body_file(options);
    return status;
}

void rm_load__request_release(rm_load_options *options)
{
    for (size_t i = 0; i < options->target_count; i++) {
        rm_free(options->targets[i].host);
        rm_free(options->targets[i].path);
    }
    rm_free(options->escaped);
    rm_free(options->escaped_bytes);
    rm_bench__prompts_deinit(&options->prompts);
    rm_buf_deinit(&options->body_file);
}

static void append_tail(const rm_load_options *options, const rm_bench_choice *choice, rm_buf *out)
{
    bool embeddings = strcmp(options->op, "embeddings") == 0;
    bool messages = strcmp(options->op, "messages") == 0;
    bool responses = strcmp(options->op, "responses") == 0;
    if (!embeddings && options->temperature >= 0)
        rm_buf_appendf(out, ",\"temperature\":%g", options->temperature);
    uint64_t max_tokens = options->max_tokens ? options->max_tokens : (messages ? 4096 : 0);
    if (max_tokens && !embeddings)
        rm_buf_appendf(out, ",\"%s\":%llu", responses ? "max_output_tokens" : "max_tokens",
                       (unsigned long long)max_tokens);
    if (choice->stream && !embeddings) {
        rm_buf_append_cstr(out, ",\"stream\":true");
        if (options->include_usage && !messages && !responses)
            rm_buf_append_cstr(out, ",\"stream_options\":{\"include_usage\":true}");
    }
    if (options->extra) {
        rm_buf_append_char(out, ',');
        rm_buf_append_cstr(out, options->extra);
    }
    rm_buf_append_char(out, '}');
}

static void append_body(const rm_load_options *options, const rm_bench_choice *choice, rm_buf *out)
{
    static const char filler[] = "The quick answer is often the right one, though not always the kind one. ";
    const load_op *op = find_op(options->op);
    size_t begin = out->len;
    rm_buf_append_cstr(out, "{\"model\":\"");
    rm_buf_append_cstr(out, options->model);
    rm_buf_append_cstr(out, "\",");
    rm_buf_append_cstr(out, op->text_open);
    rm_buf_append_slice(out, options->escaped[choice->text]);
    /* Padding stands between the question and its number so that numbered questions differ in their last bytes. */
    for (size_t have = out->len - begin + 48; have < options->pad;) {
        size_t piece = options->pad - have < sizeof(filler) - 1 ? options->pad - have : sizeof(filler) - 1;
        rm_buf_append(out, filler, piece);
        have += piece;
    }
    if (choice->numbered) {
        char number[RM_BENCH_NUMBER_BYTES];
        rm_bench__hex16(choice->number, number);
        rm_buf_append_cstr(out, " #");
        rm_buf_append(out, number, sizeof(number));
    }
    rm_buf_append_cstr(out, op->text_close);
    append_tail(options, choice, out);
}

static uint64_t expected_ref(const rm_load_options *options, const rm_bench_choice *choice)
{
    rm_buf text;
    rm_buf_init(&text, RM_LOAD_REQUEST_BYTES_MAX);
    rm_buf_append_slice(&text, options->prompts.texts[choice->text]);
    if (choice->numbered) {
        char number[RM_BENCH_NUMBER_BYTES];
        rm_bench__hex16(choice->number, number);
        rm_buf_append_cstr(&text, " #");
        rm_buf_append(&text, number, sizeof(number));
    }
    uint64_t ref = rm_bench__ref(rm_buf_slice(&text));
    rm_buf_deinit(&text);
    return ref;
}

static void append_head(const rm_load_options *options, const rm_load_target *target, rm_buf *out)
{
    rm_buf_append_cstr(out, options->get ? "GET " : "POST ");
    rm_buf_append_cstr(out, target->path);
    rm_buf_append_cstr(out, " HTTP/1.1\r\nHost: ");
    rm_buf_append_cstr(out, target->host);
    rm_buf_append_cstr(out, "\r\n");
    if (options->api_key) {
        rm_buf_append_cstr(out, "Authorization: Bearer ");
        rm_buf_append_cstr(out, options->api_key);
        rm_buf_append_cstr(out, "\r\n");
    }
    for (size_t i = 0; i < options->headers.count; i++) {
        rm_buf_append_cstr(out, options->headers.items[i]);
        rm_buf_append_cstr(out, "\r\n");
    }
}

rm_status rm_load__request_build(const rm_load_options *options, const rm_load_target *target,
                                 const rm_bench_choice *choice, rm_buf *out, uint64_t *ret_expected_ref)
{
    /* The length is not known before the body is: leave room for it, right-aligned digits after spaces (RFC 9110 5.5
     * lets optional white space stand before a value). */
    static const char length_line[] = "Content-Type: application/json\r\nContent-Length:           ";
    append_head(options, target, out);
    if (options->get) {
        rm_buf_append_cstr(out, "\r\n");
        return out->status;
    }
    rm_buf_append(out, length_line, sizeof(length_line) - 1);
    size_t digits_end = out->len;
    rm_buf_append_cstr(out, "\r\n\r\n");
    size_t body_begin = out->len;
    if (options->body_path)
        rm_buf_append_slice(out, rm_buf_slice(&options->body_file));
    else
        append_body(options, choice, out);
    if (out->status != RM_OK)
        return out->status;
    size_t body_len = out->len - body_begin;
    char *digit = out->ptr + digits_end;
    do {
        *--digit = (char)('0' + body_len % 10);
        body_len /= 10;
    } while (body_len > 0);
    if (options->check == RM_LOAD_CHECK_MOCK)
        *ret_expected_ref = expected_ref(options, choice);
    return RM_OK;
}
