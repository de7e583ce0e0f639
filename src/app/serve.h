/* The running program: what cmd_serve.c wires, loops.c runs and reload.c keeps. Private to app. */
#ifndef REMORA_APP_SERVE_H
#define REMORA_APP_SERVE_H

#include <pthread.h>

#include "remora/admin.h"
#include "remora/proxy.h"

/* ---- reload.c ---- */

/* Gives `next`, which nobody else has yet, the values of `now` for the options that a running process cannot change
 * (marked so in config/table.c), and appends the paths of those that differed to `ret_paths`. RM_ENOMEM, RM_ETOOBIG. */
rm_status rm_app_keep_fixed(const rm_config *now, rm_config *next, rm_buf *ret_paths) RM_WARN_UNUSED;

/* ---- model.c ---- */

/* Opens the models that the catalogue lists as local, but for those that `before` (may be NULL) has open. One that cannot be
 * opened is logged and answers its callers so. RM_ENOMEM. */
rm_status rm_app_add_locals(rm_settings *settings, const rm_settings *before) RM_WARN_UNUSED;
/* Adds what their lanes counted. */
void rm_app_sum_lanes(const rm_settings *settings, rm_embed_stats *stats);

/* Likewise the semantic cache's model, unless that is off. RM_ENOMEM. */
rm_status rm_app_add_semantic(rm_settings *settings, const rm_settings *before) RM_WARN_UNUSED;

/* ---- keeping.c ---- */

typedef struct rm_app_keeping rm_app_keeping;

/* Starts the keeper of settings->semantic, which is open, and its thread. RM_ENOMEM, RM_EIO, RM_EINTERNAL. */
rm_status rm_app_keeping_start(const rm_settings *settings, rm_store *store,
                               rm_app_keeping **ret_keeping) RM_WARN_UNUSED;
rm_keeper *rm_app_keeping_keeper(rm_app_keeping *keeping);
/* When no worker is left. NULL is fine. */
void rm_app_keeping_stop(rm_app_keeping *keeping);

/* ---- loops.c ---- */

typedef struct rm_app_loops rm_app_loops;

/* Makes one loop, worker and listener for each of settings->config->loops. RM_EINVAL, RM_EIO (logged), RM_ENOMEM. */
rm_status rm_app_loops_create(rm_proxy *proxy, rm_settings *settings, rm_app_loops **ret_loops) RM_WARN_UNUSED;
/* Starts their threads. RM_EINTERNAL: a thread could not be started; those that run go on. */
rm_status rm_app_loops_start(rm_app_loops *loops) RM_WARN_UNUSED;
/* Any thread but theirs: gives every worker the settings, and waits until all have taken or refused them. */
rm_status rm_app_loops_configure(rm_app_loops *loops, rm_settings *settings) RM_WARN_UNUSED;
/* Stops accepting and begins to drain. */
void rm_app_loops_drain(rm_app_loops *loops, uint64_t deadline_ms);
bool rm_app_loops_drained(rm_app_loops *loops);
/* Closes what is left, joins the threads, frees. Also for loops that never started. NULL is fine. */
void rm_app_loops_destroy(rm_app_loops *loops);
/* Sums over the workers; any thread. */
void rm_app_loops_gauges(rm_app_loops *loops, rm_gauges *gauges);

#endif
