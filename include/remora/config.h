/* L1: the YAML file, ${NAME} from the environment and defaults become one validated struct that never changes.
 * A reload makes a new one; holders keep theirs by reference. */
#ifndef REMORA_CONFIG_H
#define REMORA_CONFIG_H

#include "remora/base.h"

typedef enum rm_scope { RM_SCOPE_KEY = 0, RM_SCOPE_TEAM, RM_SCOPE_SHARED } rm_scope;
typedef enum rm_anonymous { RM_ANONYMOUS_PRIVATE = 0, RM_ANONYMOUS_SHARED, RM_ANONYMOUS_REFUSE } rm_anonymous;
typedef enum rm_mode { RM_MODE_OFF = 0, RM_MODE_SHADOW, RM_MODE_SERVE } rm_mode;
typedef enum rm_merge { RM_MERGE_OFF = 0, RM_MERGE_ON, RM_MERGE_DETERMINISTIC } rm_merge;
/* What is embedded of more text than the model takes: the beginning; the beginning and the end; or, of a conversation,
 * the last user turn (of a single text its beginning). */
typedef enum rm_long_text { RM_LONG_TEXT_HEAD = 0, RM_LONG_TEXT_HEAD_TAIL, RM_LONG_TEXT_LAST_TURN } rm_long_text;
typedef enum rm_batch_mode { RM_BATCH_AUTO = 0, RM_BATCH_OFF } rm_batch_mode;

typedef struct rm_config_upstream {
    const char *name;
    rm_dialect dialect;
    const char *base_url; /* without a trailing slash */
    const char *origin;   /* scheme://host:port of base_url */
    unsigned url_line;    /* of base_url in the file; 0: the default's */
    const char *api_key;  /* NULL: the caller's own */
    const char *ca_file;  /* NULL: the system's */
    const char *proxy;    /* NULL: the environment's */
    bool tls_verify, http2;
    rm_batch_mode batch;
} rm_config_upstream;

enum { RM_CAP_TOOLS = 1, RM_CAP_JSON_SCHEMA = 2, RM_CAP_VISION = 4, RM_CAP_STREAMING = 8, RM_CAP_LOGPROBS = 16 };

/* Texts that the semantic cache leaves to the exact one: those that speak of the moment, or of who asks. */
enum { RM_EXACT_ONLY_TIME = 1, RM_EXACT_ONLY_PERSONAL = 2 };

/* Stands for Remora itself: the upstream of catalogue models that it runs (their names begin with RM_CONFIG_LOCAL). */
extern const rm_config_upstream rm_config_local;
#define RM_CONFIG_LOCAL "local/"

typedef struct rm_config_model {
    const char *name;
    const rm_config_upstream *upstream; /* rm_config_local for a model of ours */
    unsigned line, index;               /* in the file: of its name; in the list there */
    bool priced;
    double price_input, price_cached_input, price_output; /* USD per million tokens; negative: not given */
    int64_t context_tokens;                               /* -1: not given */
    bool capabilities_given;
    unsigned capabilities; /* RM_CAP_* */
} rm_config_model;

/* A category of requests: those that name this namespace, or name none and match. Values that the file leaves out are the
 * global ones. */
typedef struct rm_config_namespace {
    const char *name;
    const char *match_path, *match_model; /* NULL: any; both NULL: by name only */
    rm_mode semantic;
    double max_error;
    uint64_t ttl_ms;
    uint64_t semantic_ttl_ms; /* 0: the answer's own */
    unsigned line, path_line; /* in the file: of its name, and of match.path */
} rm_config_namespace;

/* Strings live as long as the struct. Times in the unit of their name. Every field has a default. */
typedef struct rm_config {
    _Atomic uint32_t refs;
    rm_arena arena;
    const char *path; /* NULL: defaults alone */

    const char *listen, *admin, *data;
    unsigned loops; /* resolved: at least 1 */
    const rm_config_upstream *upstreams;
    size_t upstream_count;         /* at least 1: default openai at https://api.openai.com/v1 */
    const rm_config_model *models; /* by name */
    size_t model_count;
    const char *prices;   /* path or NULL */
    unsigned prices_line; /* of it in the file */

    struct {
        rm_scope scope;
        rm_anonymous anonymous;
        struct {
            rm_mode mode; /* off | serve */
            unsigned mode_line;
            uint64_t ttl_ms, bytes_max;
            bool serve_sampled;
            bool fresh_ids;       /* ids: original | fresh */
            bool store_truncated; /* finish_reason length or content_filter */
            uint64_t stale_while_revalidate_ms, stale_if_error_ms;
            bool compress;
        } exact;
        struct {
            rm_mode mode;
            double max_error;
            double audit;        /* share of would-be hits */
            unsigned guards_off; /* bits of rm_semantic_guard_name */
            unsigned exact_only; /* RM_EXACT_ONLY_* */
            uint64_t ttl_ms;     /* 0: the answer's own */
            uint64_t hit_delay_ms;
            const char *model;
            unsigned model_line; /* of it in the file; 0: the default's */
        } semantic;
        const rm_config_namespace *namespaces; /* in the file's order */
        size_t namespace_count;
    } cache;
    struct {
        const char *precision; /* auto | fp32 | bf16 | int8 */
        unsigned workers;      /* resolved: at least 1 */
        uint64_t deadline_us;
        rm_long_text overflow;
    } embed;
    struct {
        rm_merge in_flight;
        uint64_t bytes_max;
        bool choices; /* merge requests with n > 1 */
    } merge;
    bool trust_gateway_headers;
    struct {
        uint64_t header_ms, body_ms, idle_ms, connect_ms, first_byte_ms, stream_idle_ms, total_ms, silence_comment_ms,
            drain_ms;
    } timeouts;
    struct {
        unsigned per_request;
        double budget;
        unsigned budget_min;
    } retries;
    struct {
        unsigned connections, connections_per_address;
    } limits;
    struct {
        uint64_t embeddings_window_us;
        struct {
            bool on;
            uint64_t window_ms;
            unsigned requests_max;
        } deferred;
    } batch;
    struct {
        rm_mode mode;
    } route;
    struct {
        const char *access; /* "stdout", "off" or a path (reopened on SIGHUP) */
        rm_log_level level;
        bool bodies; /* prompts and answers in the access log; off */
    } log;
    bool cors;
} rm_config;

/* What is wrong, one line a mistake: "FILE:LINE: PATH: what, and how to mend it". */
typedef struct rm_config_errors {
    rm_buf text;  /* lines ended by \n */
    size_t count; /* also those over RM_CONFIG_ERRORS_MAX, which are not in text */
} rm_config_errors;
void rm_config_errors_init(rm_config_errors *errors);
void rm_config_errors_deinit(rm_config_errors *errors);

/* path NULL: defaults. Collects every mistake before it returns. RM_EINVAL: errors says what. RM_ENOMEM, RM_EIO (also
 * in errors). One reference. Any thread; reads the environment. */
rm_status rm_config_load(const char *path, rm_config **ret_config, rm_config_errors *errors) RM_WARN_UNUSED;
/* The same from memory; `name` stands for FILE. */
rm_status rm_config_parse(const char *name, rm_slice text, rm_config **ret_config,
                          rm_config_errors *errors) RM_WARN_UNUSED;
/* As rm_config_load, but mistakes in values leave their defaults and give RM_OK; errors lists them. For commands that need
 * the addresses and the data folder only (a key may be set for the service and not for its operator): upstreams and
 * models must not be used. RM_EINVAL where the file is no YAML. */
rm_status rm_config_peek(const char *path, rm_config **ret_config, rm_config_errors *errors) RM_WARN_UNUSED;
rm_config *rm_config_ref(rm_config *config);
void rm_config_unref(rm_config *config); /* NULL is fine */

/* Whether any request asks the semantic cache at all. */
bool rm_config_uses_semantic(const rm_config *config);
const rm_config_model *rm_config_find_model(const rm_config *config, rm_slice name); /* NULL: not in the catalogue */

/* Every option with type, default and one line of help, as Markdown (README) or text (--help). */
rm_status rm_config_describe(bool markdown, rm_buf *out);

/* Appends the effective configuration as one JSON object in the file's own shape; secrets show as "(set)". */
rm_status rm_config_json(const rm_config *config, rm_buf *out);

/* Appends the paths, separated by ", ", of options that differ and take effect at the next start only (a reload keeps
 * the old value). Nothing appended: none. */
rm_status rm_config_restart_needed(const rm_config *before, const rm_config *after, rm_buf *out);

#endif
