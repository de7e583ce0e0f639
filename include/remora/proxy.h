/* L4: the exchange: one request from its bytes to its settlement. The only place that knows the order of the steps.
 * A worker is the proxy on one loop; all of a worker is used on its loop's thread unless a function says otherwise. */
#ifndef REMORA_PROXY_H
#define REMORA_PROXY_H

#include "remora/batch.h"
#include "remora/config.h"
#include "remora/keeper.h"
#include "remora/lane.h"
#include "remora/net.h"
#include "remora/observe.h"
#include "remora/provider.h"
#include "remora/store.h"

/* What all workers share; outlives them. */
typedef struct rm_proxy {
    rm_flights *flights;
    rm_store *store; /* NULL: no cache (it could not be opened); everything goes through */
    rm_observe *observe;
    uint8_t secret[32];
    _Atomic uint64_t in_flight;      /* requests being answered, all loops */
    _Atomic uint64_t in_flight_peak; /* the most of them, about, since its reader last set it back */
} rm_proxy;

typedef struct rm_worker rm_worker;

/* A model of the catalogue that runs here. Refcounted, for a reload keeps it; immutable. */
typedef struct rm_local_model {
    _Atomic uint32_t refs;
    char name[RM_MODEL_NAME_BYTES_MAX]; /* "local/…" */
    rm_model *model;                    /* NULL, and so is the lane: it could not be opened */
    rm_lane *lane;
    char why[256]; /* a sentence for callers, where it could not */
} rm_local_model;
rm_local_model *rm_local_model_ref(rm_local_model *local);
void rm_local_model_unref(rm_local_model *local); /* the last one closes it; NULL is fine */

/* A configuration and what goes with it; immutable, shared by all workers, freed after the last use. */
typedef struct rm_settings {
    _Atomic uint32_t refs;
    rm_config *config;
    rm_prices *prices; /* the cost map's; NULL: the built-in table only */
    rm_local_model **locals;
    size_t local_count;
    rm_local_model *semantic; /* the semantic cache's model; NULL: that is off, or the model cannot serve */
    rm_keeper *keeper;        /* with it; its owner's, outlives all settings */
} rm_settings;
/* Takes over both references, also on failure; without local models. NULL: no memory. Any thread. */
rm_settings *rm_settings_create(rm_config *config, rm_prices *prices) RM_WARN_UNUSED;
/* Before others have the settings: adds a model, whose reference it takes over, also on failure. RM_ENOMEM. */
rm_status rm_settings_add_local(rm_settings *settings, rm_local_model *local) RM_WARN_UNUSED;
rm_local_model *rm_settings_local(const rm_settings *settings, rm_slice name); /* NULL: none of that name */
rm_settings *rm_settings_ref(rm_settings *settings);
void rm_settings_unref(rm_settings *settings);

/* Before the loop runs, on any thread. RM_ENOMEM, RM_EIO. */
rm_status rm_worker_create(rm_proxy *proxy, rm_loop *loop, rm_settings *settings,
                           rm_worker **ret_worker) RM_WARN_UNUSED;
/* Loop thread: what comes from now on follows these settings; what is under way keeps its own. RM_ENOMEM, RM_EIO:
 * nothing has changed. */
rm_status rm_worker_configure(rm_worker *worker, rm_settings *settings) RM_WARN_UNUSED;
/* Binds config.listen. RM_EINVAL, RM_EIO (logged). Before the loop runs. */
rm_status rm_worker_listen(rm_worker *worker);
/* Loop thread. No more accepts; on_drained once, when the last request is done or deadline_ms has passed. */
void rm_worker_drain(rm_worker *worker, uint64_t deadline_ms, void (*on_drained)(void *user), void *user);
/* Loop thread, after draining: closes the rest; on_closed once, later; the worker is freed by then. */
void rm_worker_close(rm_worker *worker, void (*on_closed)(void *user), void *user);
/* Any thread, relaxed. */
unsigned rm_worker_connections(const rm_worker *worker);
unsigned rm_worker_upstream_calls(const rm_worker *worker);

#endif
