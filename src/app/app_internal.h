/* What the subcommands share. Each is one function with its own arguments: argv[0] is the subcommand's name. They return
 * the exit code: 0 done, 1 the thing asked about is bad, 2 usage. */
#ifndef REMORA_APP_INTERNAL_H
#define REMORA_APP_INTERNAL_H

#include <stdio.h>

#include "remora/base.h"
#include "remora/config.h"
#include "remora/embed.h"

enum { RM_APP_DONE = 0, RM_APP_BAD = 1, RM_APP_USAGE = 2, RM_APP_GO = -1 };

int rm_app_serve(int argc, char **argv);
int rm_app_check(int argc, char **argv);
int rm_app_cache(int argc, char **argv);
int rm_app_report(int argc, char **argv);
int rm_app_embed(int argc, char **argv);
int rm_app_eval(int argc, char **argv);
int rm_app_eval_semantic(int argc, char **argv); /* eval_semantic.c: of `remora eval` */
int rm_app_eval_pairs(int argc, char **argv);

/* ---- options.c ---- */

/* One option of a command; text or flag is where it goes. */
typedef struct rm_app_option {
    const char *name;     /* "--json" */
    const char *argument; /* "FILE"; NULL: a switch */
    const char *help;
    const char **text; /* set to the argument; the last one counts */
    bool *flag;        /* set to true */
} rm_app_option;

#define RM_APP_CONFIG_OPTION(text)                                             \
    {                                                                          \
        "-c", "FILE", "configuration (without it: the defaults)", (text), NULL \
    }
#define RM_APP_JSON_OPTION(flag)                   \
    {                                              \
        "--json", NULL, "print JSON", NULL, (flag) \
    }

typedef struct rm_app_command {
    const char *usage; /* "remora report [--since T]" */
    const char *about; /* one or a few lines */
    const rm_app_option *options;
    size_t option_count;
    const char **operands; /* where words that are no options go, operand_count of them, all needed; may be NULL */
    size_t operand_count;
} rm_app_command;

/* RM_APP_GO: read. Else the exit code: --help and --version were answered on standard output (0), or the usage was told
 * on standard error (2). "--name=value", "-cFILE" and "--" are understood. */
int rm_app_parse(const rm_app_command *command, int argc, char **argv);
void rm_app_print_version(FILE *out);
/* "remora: ..." and the usage on standard error; returns RM_APP_USAGE. */
int rm_app_usage(const rm_app_command *command, const char *format, ...) RM_PRINTF(2, 3);

/* ---- http_client.c ---- */

/* One request to the admin server of a Remora, and its whole answer. address: as the option `admin`. target begins with
 * '/'. body NULL ptr: GET, else POST. RM_ECONNECT: nobody listens there. RM_EIO, RM_ETIMEOUT, RM_EPROTO, RM_ETOOBIG,
 * RM_EINVAL: the address. Blocks. */
rm_status rm_app_http(const char *address, const char *target, rm_slice body, int *ret_http_status,
                      rm_buf *ret_body) RM_WARN_UNUSED;
/* Whether a TCP connection to host and port comes about within the time. RM_ECONNECT, RM_ETIMEOUT, RM_ENOTFOUND: no
 * such host. */
rm_status rm_app_probe(const char *host, const char *port, unsigned timeout_ms) RM_WARN_UNUSED;

/* ---- model.c ---- */

/* By name or folder, as rm_model_find. Errors as rm_model_open; `why` gets one line. */
rm_status rm_app_load_model(const char *name, rm_precision precision, rm_model **ret_model, rm_buf *why) RM_WARN_UNUSED;
/* Opens the model `name` (NULL: the configuration's) in a precision (NULL: the configuration's). RM_APP_GO: it is open.
 * Else the exit code; why is told on standard error. */
int rm_app_open_model(const rm_app_command *command, const rm_config *config, const char *name, const char *precision,
                      rm_model **ret_model);

/* ---- shared by cache and report ---- */

/* The addresses and folder of a configuration; its mistakes are told on standard error. False: it cannot be read. */
bool rm_app_peek_config(const char *path, rm_config **ret_config);
/* Prints what an admin server refused, from {"error":{"message"}}; returns RM_APP_BAD. */
int rm_app_refused(int http_status, rm_slice body);
/* Appends "%XX" for all but unreserved characters (RFC 3986). */
void rm_app_append_query(rm_buf *out, const char *text);

#endif
