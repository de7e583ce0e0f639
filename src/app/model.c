/* The model that a subcommand names. */
#include <limits.h>
#include <stdio.h>

#include "app_internal.h"

static bool read_precision(const char *text, rm_precision *ret_precision)
{
    for (rm_precision p = RM_PRECISION_AUTO; p <= RM_PRECISION_INT8; p++) {
        if (strcmp(text, rm_precision_name(p)) == 0) {
            *ret_precision = p;
            return true;
        }
    }
    return false;
}

int rm_app_open_model(const rm_app_command *command, const rm_config *config, const char *name, const char *precision,
                      rm_model **ret_model)
{
    char folder[PATH_MAX];
    rm_model_options options = {.folder = folder};
    rm_buf why;

    name = name ? name : config->cache.semantic.model;
    if (!read_precision(precision ? precision : config->embed.precision, &options.precision))
        return rm_app_usage(command, "--precision %s is none; write auto, fp32, bf16 or int8", precision);
    if (!rm_model_find(name, folder, sizeof(folder))) {
        (void)fprintf(
            stderr,
            "remora: no model %s: fetch it with models/fetch %s, name a folder in Hugging Face layout, or set "
            "REMORA_MODELS to the folder that models are in\n",
            name, name);
        return RM_APP_BAD;
    }
    rm_buf_init(&why, 4 * RM_KIB);
    rm_status status = rm_model_open(&options, ret_model, &why);
    rm_slice text = why.len ? rm_buf_slice(&why) : rm_slice_cstr(rm_status_text(status));
    if (status != RM_OK)
        (void)fprintf(stderr, "remora: %s: %.*s\n", folder, (int)text.len, text.ptr);
    rm_buf_deinit(&why);
    return status == RM_OK ? RM_APP_GO : RM_APP_BAD;
}
