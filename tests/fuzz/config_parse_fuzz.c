/* Any bytes as a configuration: they are refused with a message, or give a whole configuration. The buffers are kept
 * from one input to the next, so that the time goes into the reading. */
#include "remora/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const rm_config *config, rm_buf *json)
{
    RM_CHECK(config->upstream_count > 0 && config->loops > 0);
    for (size_t i = 0; i < config->upstream_count; i++)
        RM_CHECK(config->upstreams[i].name && config->upstreams[i].base_url && config->upstreams[i].origin);
    for (size_t i = 0; i < config->model_count; i++)
        RM_CHECK(rm_config_find_model(config, rm_slice_cstr(config->models[i].name)) == &config->models[i]);
    rm_buf_clear(json);
    RM_CHECK(rm_config_json(config, json) == RM_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rm_config_errors errors;
    static rm_buf json;
    rm_config *config = NULL;

    if (json.max == 0) {
        rm_config_errors_init(&errors);
        rm_buf_init(&json, 64 * RM_MIB);
    }
    errors.count = 0;
    rm_buf_clear(&errors.text);
    if (rm_config_parse("fuzz.yaml", rm_slice_make((const char *)data, size), &config, &errors) == RM_OK) {
        RM_CHECK(errors.count == 0);
        check(config, &json);
    } else {
        RM_CHECK(errors.count > 0 && errors.text.len > 0 && config == NULL);
    }
    rm_config_unref(config);
    return 0;
}
