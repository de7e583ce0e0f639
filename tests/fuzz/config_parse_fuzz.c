/* Any bytes as a configuration: they are refused with a message, or give a whole configuration. */
#include "remora/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rm_config *config = NULL;
    rm_config_errors errors;
    rm_buf json;

    rm_config_errors_init(&errors);
    rm_buf_init(&json, 64 * RM_MIB);
    if (rm_config_parse("fuzz.yaml", rm_slice_make((const char *)data, size), &config, &errors) == RM_OK) {
        RM_CHECK(errors.count == 0 && config->upstream_count > 0 && config->loops > 0);
        for (size_t i = 0; i < config->upstream_count; i++)
            RM_CHECK(config->upstreams[i].name && config->upstreams[i].base_url && config->upstreams[i].origin);
        for (size_t i = 0; i < config->model_count; i++)
            RM_CHECK(rm_config_find_model(config, rm_slice_cstr(config->models[i].name)) == &config->models[i]);
        RM_CHECK(rm_config_json(config, &json) == RM_OK);
    } else {
        RM_CHECK(errors.count > 0 && errors.text.len > 0 && config == NULL);
    }
    rm_buf_deinit(&json);
    rm_config_unref(config);
    rm_config_errors_deinit(&errors);
    return 0;
}
