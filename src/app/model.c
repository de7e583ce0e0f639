/* Models on this machine: those that a subcommand names, and those that the catalogue lists as local. */
#include <limits.h>
#include <stdio.h>

#include "serve.h"

#include "app_internal.h"

rm_status rm_app_load_model(const char *name, rm_precision precision, rm_model **ret_model, rm_buf *why)
{
    char folder[PATH_MAX];
    rm_model_options options = {.folder = folder, .precision = precision};
    if (!rm_model_find(name, folder, sizeof(folder))) {
        rm_buf_appendf(why,
                       "no model %s: fetch it with models/fetch %s, name a folder in Hugging Face layout, or set "
                       "REMORA_MODELS to the folder that models are in",
                       name, name);
        return RM_ENOTFOUND;
    }
    rm_status status = rm_model_open(&options, ret_model, why);
    if (status != RM_OK && why->len == 0)
        rm_buf_appendf(why, "%s: %s", folder, rm_status_text(status));
    return status;
}

int rm_app_open_model(const rm_app_command *command, const rm_config *config, const char *name, const char *precision,
                      rm_model **ret_model)
{
    rm_precision wanted;
    rm_buf why;

    if (!rm_precision_parse(precision ? precision : config->embed.precision, &wanted))
        return rm_app_usage(command, "--precision %s is none; write auto, fp32, bf16 or int8", precision);
    rm_buf_init(&why, 4 * RM_KIB);
    rm_status status = rm_app_load_model(name ? name : config->cache.semantic.model, wanted, ret_model, &why);
    if (status != RM_OK)
        (void)fprintf(stderr, "remora: %.*s\n", (int)why.len, why.ptr);
    rm_buf_deinit(&why);
    return status == RM_OK ? RM_APP_GO : RM_APP_BAD;
}

/* ---- local models ------------------------------------------------------------------------------------------------ */

static const char *without_prefix(const char *name)
{
    return name + strlen(RM_CONFIG_LOCAL);
}

static rm_status start_lane(const rm_config *config, rm_local_model *local)
{
    rm_lane_options options = {.model = local->model, .workers = config->embed.workers, .clock = rm_clock_system()};
    rm_status status = rm_lane_create(&options, &local->lane);
    if (status == RM_OK)
        rm_log(RM_LOG_INFO, "app", "model %s: %u dimensions, %s by the kernels %s, %u worker%s", local->name,
               rm_model_shape_of(local->model)->hidden, rm_precision_name(rm_model_precision(local->model)),
               rm_model_kernels(local->model), options.workers, options.workers == 1 ? "" : "s");
    return status;
}

/* A model that cannot be opened is listed all the same, and says why to those who ask for it. NULL: no memory. */
static rm_local_model *open_local(const rm_config *config, const char *name, const char *model, rm_log_level failure)
{
    rm_local_model *local = rm_calloc(1, sizeof(*local));
    rm_precision precision = RM_PRECISION_AUTO;
    rm_buf why;

    if (!local)
        return NULL;
    atomic_init(&local->refs, 1);
    (void)snprintf(local->name, sizeof(local->name), "%s", name);
    (void)!rm_precision_parse(config->embed.precision, &precision); /* config checked it */
    rm_buf_init(&why, 4 * RM_KIB);
    rm_status status = rm_app_load_model(model, precision, &local->model, &why);
    if (status == RM_OK)
        status = start_lane(config, local);
    if (status != RM_OK) {
        rm_log(failure, "app", "the model %s cannot serve: %.*s", name, (int)why.len,
               why.len ? why.ptr : rm_status_text(status));
        (void)snprintf(local->why, sizeof(local->why),
                       "The local model could not be opened; Remora's log and `remora check` say why.");
    }
    rm_buf_deinit(&why);
    return local;
}

rm_status rm_app_add_locals(rm_settings *settings, const rm_settings *before)
{
    const rm_config *config = settings->config;
    for (size_t i = 0; i < config->model_count; i++) {
        const rm_config_model *model = &config->models[i];
        if (model->upstream != &rm_config_local)
            continue;
        rm_local_model *local = before ? rm_settings_local(before, rm_slice_cstr(model->name)) : NULL;
        local = local && local->lane ? rm_local_model_ref(local)
                                     : open_local(config, model->name, without_prefix(model->name), RM_LOG_ERROR);
        if (!local)
            return RM_ENOMEM;
        rm_status status = rm_settings_add_local(settings, local);
        if (status != RM_OK)
            return status;
    }
    return RM_OK;
}

/* One lane serves callers and the semantic cache where both use the same model. Without the model the semantic cache is off,
 * and nothing else; where nobody chose it, that is no mistake. */
rm_status rm_app_add_semantic(rm_settings *settings, const rm_settings *before)
{
    const rm_config *config = settings->config;
    char name[RM_MODEL_NAME_BYTES_MAX];

    if (!rm_config_uses_semantic(config))
        return RM_OK;
    (void)snprintf(name, sizeof(name), RM_CONFIG_LOCAL "%s", config->cache.semantic.model);
    rm_local_model *local = rm_settings_local(settings, rm_slice_cstr(name));
    if (!local && before)
        local = before->semantic;
    rm_log_level failure = config->cache.semantic.model_line ? RM_LOG_ERROR : RM_LOG_WARN;
    local = local ? rm_local_model_ref(local) : open_local(config, name, config->cache.semantic.model, failure);
    if (!local)
        return RM_ENOMEM;
    if (local->lane) {
        settings->semantic = local;
    } else {
        rm_log(RM_LOG_WARN, "app", "the semantic cache is off: it has no model");
        rm_local_model_unref(local);
    }
    return RM_OK;
}

static void sum_lane(const rm_local_model *local, rm_embed_stats *stats)
{
    if (!local->lane)
        return;
    rm_lane_stats lane = rm_lane_get_stats(local->lane);
    stats->texts += lane.texts;
    stats->tokens += lane.tokens;
    stats->refused += lane.refused;
    stats->late += lane.late;
    stats->waiting += lane.waiting;
}

void rm_app_sum_lanes(const rm_settings *settings, rm_embed_stats *stats)
{
    bool shared = false;

    for (size_t i = 0; i < settings->local_count; i++) {
        sum_lane(settings->locals[i], stats);
        shared |= settings->locals[i] == settings->semantic;
    }
    if (settings->semantic && !shared)
        sum_lane(settings->semantic, stats);
}
