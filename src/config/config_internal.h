/* What the files of this module share.
 *
 *     table.c   every option once: path, kind, default, range, words, place, help
 *     value.c   one scalar's text -> one field, by its row
 *     walk.c    the YAML document -> rows (the only file that knows libyaml)
 *     check.c   what one value cannot know: names, references, addresses that clash
 *     show.c    rows -> help, README table, JSON
 *     config.c  the public functions
 */
#ifndef REMORA_CONFIG_INTERNAL_H
#define REMORA_CONFIG_INTERNAL_H

#include "remora/config.h"

#define RM_CONFIG_VALUE_BYTES_MAX 8192 /* one value after ${NAME} was put in */
#define RM_CONFIG_PATH_BYTES_MAX  128  /* of a path in the table, and of one shown */
#define RM_CONFIG_ARENA_BYTES_MAX (16 * RM_MIB)
#define RM_CONFIG_ERROR_BYTES_MAX 1024 /* one line */

typedef enum rm_config_kind {
    RM_KIND_SWITCH = 0,  /* bool */
    RM_KIND_COUNT,       /* unsigned */
    RM_KIND_TOKENS,      /* int64_t */
    RM_KIND_SHARE,       /* double */
    RM_KIND_USD,         /* double */
    RM_KIND_BYTES,       /* uint64_t */
    RM_KIND_MS,          /* uint64_t */
    RM_KIND_US,          /* uint64_t */
    RM_KIND_CHOICE,      /* an enum, by words */
    RM_KIND_CHOICE_BOOL, /* bool, by words */
    RM_KIND_CHOICE_TEXT, /* const char *, one of the words */
    RM_KIND_FLAGS,       /* unsigned, a list of words */
    RM_KIND_TEXT,        /* const char *, and all below */
    RM_KIND_NAME,
    RM_KIND_ADDRESS,
    RM_KIND_URL,
    RM_KIND_PROXY,
    RM_KIND_FILE, /* must be readable */
    RM_KIND_PATH,
    RM_KIND_SECRET,
    RM_KIND_COUNT_OF
} rm_config_kind;

typedef struct rm_config_word {
    const char *word; /* NULL ends the list */
    int value;
} rm_config_word;

enum { RM_OPTION_REQUIRED = 1, RM_OPTION_RESTART = 2 };

typedef struct rm_config_option {
    const char *path; /* "cache.exact.ttl"; members of a list's items: "models[].name" */
    rm_config_kind kind;
    unsigned flags;
    size_t offset;       /* in rm_config, or in the list's item */
    const char *initial; /* the default as one would write it; NULL: none */
    const char *min, *max;
    const rm_config_word *words;
    const char *help;
} rm_config_option;

extern const rm_config_option rm_config__options[];
extern const size_t rm_config__option_count;
#define RM_CONFIG_OPTIONS_MAX 128

/* A model while its upstream is only a name. */
typedef struct rm_config_model_draft {
    rm_config_model model; /* first: the rows' offsets count from it */
    const char *upstream_name;
    size_t index; /* in the file */
    unsigned line, name_line, upstream_line;
} rm_config_model_draft;

/* A namespace's values that the file leaves out, until all of it is read. */
#define RM_CONFIG__OPEN_MODE  ((rm_mode)(RM_MODE_SERVE + 1))
#define RM_CONFIG__OPEN_SHARE (-1.0)
#define RM_CONFIG__OPEN_MS    UINT64_MAX

/* One reading of one file. */
typedef struct rm_config_reader {
    const char *file;
    rm_config *config;
    rm_config_errors *errors;
    rm_buf value; /* the scalar being read, expanded */
    size_t index; /* of the list item being read: what "[]" is shown as */
    rm_config_upstream *upstreams;
    unsigned upstream_lines[RM_UPSTREAMS_MAX];
    rm_config_model_draft *drafts;
    rm_config_namespace *namespaces;
    unsigned option_lines[RM_CONFIG_OPTIONS_MAX]; /* where a top-level option was set; 0: it was not */
    rm_status fatal;                              /* memory ran out: what was read is of no use */
} rm_config_reader;

/* ---- table.c ---- */
/* The row of that path, or NULL. */
const rm_config_option *rm_config__option_find(const char *path);
/* Index of the first row below `section` ("cache.", "upstreams[]."), or -1. */
int rm_config__section_find(const char *section);
/* The next name directly under `section` ("" is the top): walks with *cursor from 0; false at the end. */
bool rm_config__section_next(const char *section, size_t *cursor, rm_slice *ret_name);

/* ---- value.c ---- */
void rm_config__mistake(rm_config_reader *reader, unsigned line, const char *path, const char *format, ...)
    RM_PRINTF(4, 5);
/* The text with ${NAME} put in, in reader->value. False: reported. */
bool rm_config__expand(rm_config_reader *reader, unsigned line, const char *path, rm_slice text);
/* Reads `text` (already expanded) into the field of `base`. False: reported. */
bool rm_config__set(rm_config_reader *reader, const rm_config_option *option, void *base, rm_slice text, unsigned line);
bool rm_config__set_flag(rm_config_reader *reader, const rm_config_option *option, void *base, rm_slice text,
                         unsigned line);
/* Sets every option directly or indirectly under `section` to its default. False: out of memory. */
bool rm_config__set_defaults(rm_config_reader *reader, const char *section, void *base);
const rm_config_word *rm_config__word_find(const rm_config_word *words, rm_slice text);
const char *rm_config__kind_name(rm_config_kind kind);
/* The number that `text` is for this kind: what ranges are compared by. */
rm_status rm_config__number(rm_config_kind kind, rm_slice text, double *ret_number);

/* ---- walk.c ---- */
rm_status rm_config__read(rm_config_reader *reader, rm_slice text);

/* ---- check.c ---- */
/* NULL, or what is wrong with it. *ret_origin_bytes: how much of the URL is its origin. */
const char *rm_config__url_fault(rm_slice url, size_t *ret_origin_bytes);
const char *rm_config__address_fault(rm_slice address);
/* After an item of `upstreams` was read. */
void rm_config__finish_upstream(rm_config_reader *reader, size_t index);
/* After all was read: names, references, the default upstream. */
void rm_config__finish(rm_config_reader *reader);

#endif
