/* What kind of model a folder holds, from the small JSON files of the Hugging Face layout. What this program would run
 * wrongly (another activation, a third pooling, a layer behind the pooling) is refused rather than run. */
#include "files.h"
#include "remora/json.h"

/* The JSON library takes 16 bytes a value, and the shortest value with its comma has two. */
#define SCRATCH_BYTES_MAX (16 * RM_EMBED_CONFIG_BYTES_MAX)
/* As wide as the widest layer: four times the hidden size is BERT's own. */
#define INTERMEDIATE_MAX (4 * RM_EMBED_HIDDEN_MAX)
/* [CLS] and [SEP]. */
#define TOKENS_MIN 2

static const char *const file_names[RM_EMBED__SHAPE_FILES] = {
    [RM_EMBED__CONFIG] = "config.json",
    [RM_EMBED__SENTENCE] = "sentence_bert_config.json",
    [RM_EMBED__POOLING] = "1_Pooling/config.json",
    [RM_EMBED__MODULES] = "modules.json",
};

/* The file being read: its place for messages, and its object. */
typedef struct document {
    char path[RM_EMBED__PATH_BYTES];
    const rm_json *root;
    rm_buf *why;
} document;

#define refuse(doc, status, ...) rm_embed__refuse((doc)->why, (status), (doc)->path, __VA_ARGS__)

/* ---- config.json --------------------------------------------------------------------------------------------------- */

static const struct number {
    const char *name;
    size_t place; /* in rm_model_shape */
    uint32_t least, most;
} numbers[] = {
#define PLACE(member) offsetof(rm_model_shape, member)
    {"num_hidden_layers", PLACE(layers), 1, RM_EMBED_LAYERS_MAX},
    {"num_attention_heads", PLACE(heads), 1, RM_EMBED_HIDDEN_MAX},
    {"hidden_size", PLACE(hidden), 1, RM_EMBED_HIDDEN_MAX},
    {"intermediate_size", PLACE(intermediate), 1, INTERMEDIATE_MAX},
    {"vocab_size", PLACE(vocabulary), 1, RM_EMBED_VOCAB_TOKENS_MAX},
    {"max_position_embeddings", PLACE(positions), TOKENS_MIN, RM_EMBED_POSITIONS_MAX},
#undef PLACE
};

/* What would run but give other vectors than the model's own. */
static const struct word {
    const char *name, *only;
    bool required;
} words[] = {
    {"model_type", "bert", true},
    {"hidden_act", "gelu", false}, /* left out: BERT's own, which is this */
    {"position_embedding_type", "absolute", false},
};

static rm_status read_number(const document *doc, const char *name, uint32_t least, uint32_t most, uint32_t *ret_number)
{
    int64_t number = rm_json_i64(rm_json_get(doc->root, name), -1);
    if (number < (int64_t)least)
        return refuse(doc, RM_ECORRUPT, "%s must be a number from %u to %u; get the file again", name, least, most);
    if (number > (int64_t)most)
        return refuse(doc, RM_ETOOBIG, "%s is %lld, at most %u is taken; choose a smaller model", name,
                      (long long)number, most);
    *ret_number = (uint32_t)number;
    return RM_OK;
}

static rm_status check_words(const document *doc)
{
    for (size_t i = 0; i < RM_COUNT(words); i++) {
        const rm_json *value = rm_json_get(doc->root, words[i].name);
        rm_json_type type = rm_json_typeof(value);
        if (!words[i].required && (type == RM_JSON_ABSENT || type == RM_JSON_NULL))
            continue;
        if (!rm_slice_eq(rm_json_string(value), rm_slice_cstr(words[i].only)))
            return refuse(doc, RM_EUNSUPPORTED, "%s must be \"%s\"; choose a BERT-class encoder", words[i].name,
                          words[i].only);
    }
    if (rm_json_bool(rm_json_get(doc->root, "is_decoder"), false))
        return refuse(doc, RM_EUNSUPPORTED, "is_decoder is set; choose a BERT-class encoder");
    return RM_OK;
}

static rm_status read_epsilon(const document *doc, float *ret_epsilon)
{
    const rm_json *value = rm_json_get(doc->root, "layer_norm_eps");
    double epsilon = value ? rm_json_double(value, 0) : 1e-12; /* BERT's own */
    if (!(epsilon >= 1e-30 && epsilon <= 0.1))
        return refuse(doc, RM_ECORRUPT, "layer_norm_eps must be a number above 0, at most 0.1; get the file again");
    *ret_epsilon = (float)epsilon;
    return RM_OK;
}

static rm_status read_config(const document *doc, rm_model_shape *shape)
{
    rm_status status = check_words(doc);
    for (size_t i = 0; status == RM_OK && i < RM_COUNT(numbers); i++) {
        const struct number *row = &numbers[i];
        status = read_number(doc, row->name, row->least, row->most, (uint32_t *)(void *)((char *)shape + row->place));
    }
    if (status == RM_OK)
        status = read_epsilon(doc, &shape->norm_epsilon);
    if (status == RM_OK && shape->hidden % shape->heads != 0)
        status = refuse(doc, RM_ECORRUPT, "hidden_size %u is no multiple of num_attention_heads %u; get the file again",
                        shape->hidden, shape->heads);
    if (status != RM_OK)
        return status;
    shape->tokens_max = shape->positions < RM_EMBED_BATCH_TOKENS_MAX ? shape->positions : RM_EMBED_BATCH_TOKENS_MAX;
    shape->pooling = RM_POOLING_MEAN;
    return RM_OK;
}

/* ---- its neighbours ------------------------------------------------------------------------------------------------ */

static rm_status read_sentence(const document *doc, rm_model_shape *shape)
{
    uint32_t tokens = 0;
    rm_json_type type = rm_json_typeof(rm_json_get(doc->root, "max_seq_length"));
    if (type == RM_JSON_ABSENT || type == RM_JSON_NULL)
        return RM_OK;
    rm_status status = read_number(doc, "max_seq_length", TOKENS_MIN, INT32_MAX, &tokens);
    if (status == RM_OK && tokens < shape->tokens_max)
        shape->tokens_max = tokens;
    return status;
}

/* One flag a kind, of which exactly one may be set; later writers name the kind instead. */
static rm_status read_pooling(const document *doc, rm_model_shape *shape)
{
    static const rm_slice prefix = {"pooling_mode_", sizeof("pooling_mode_") - 1};
    unsigned set = 0, mean = 0, cls = 0;
    rm_slice named = rm_json_string(rm_json_get(doc->root, "pooling_mode"));
    for (rm_json_iter it = rm_json_iterate(doc->root); !named.ptr && rm_json_iter_next(&it);) {
        if (!rm_slice_has_prefix(it.key, prefix) || !rm_json_bool(it.value, false))
            continue;
        set++;
        mean += rm_slice_eq(it.key, RM_SLICE("pooling_mode_mean_tokens"));
        cls += rm_slice_eq(it.key, RM_SLICE("pooling_mode_cls_token"));
    }
    if (named.ptr) {
        set = 1;
        mean = rm_slice_eq(named, RM_SLICE("mean"));
        cls = rm_slice_eq(named, RM_SLICE("cls"));
    }
    if (set != 1 || mean + cls != 1)
        return refuse(doc, RM_EUNSUPPORTED,
                      "asks for another pooling than mean or CLS; choose a model with one of them");
    const rm_json *dimension = rm_json_get(doc->root, "word_embedding_dimension");
    if (dimension && rm_json_i64(dimension, -1) != (int64_t)shape->hidden)
        return refuse(doc, RM_ECORRUPT,
                      "word_embedding_dimension is not config.json's hidden_size %u: files of two models?",
                      shape->hidden);
    shape->pooling = cls ? RM_POOLING_CLS : RM_POOLING_MEAN;
    return RM_OK;
}

/* A layer behind the pooling (Dense) would be left out silently: only what changes nothing else may stand here. */
static rm_status check_modules(const document *doc, rm_model_shape *shape)
{
    static const char *const known[] = {"Transformer", "Pooling", "Normalize"};
    (void)shape;
    for (rm_json_iter it = rm_json_iterate(doc->root); rm_json_iter_next(&it);) {
        rm_slice type = rm_json_string(rm_json_get(it.value, "type")), part = type;
        bool found = false;
        while (rm_slice_split(&type, '.', &part)) {
        }
        for (size_t i = 0; i < RM_COUNT(known); i++)
            found |= rm_slice_eq(part, rm_slice_cstr(known[i]));
        if (!found)
            return refuse(doc, RM_EUNSUPPORTED,
                          "has a step that is not run here (module %zu: only Transformer, Pooling and "
                          "Normalize are); choose another model",
                          it.index - 1);
    }
    return RM_OK;
}

/* ---- files --------------------------------------------------------------------------------------------------------- */

/* In this order: later ones refine what earlier ones said. */
static const struct step {
    rm_status (*read)(const document *doc, rm_model_shape *shape);
    rm_json_type type;
} steps[RM_EMBED__SHAPE_FILES] = {
    [RM_EMBED__CONFIG] = {read_config, RM_JSON_OBJECT},
    [RM_EMBED__SENTENCE] = {read_sentence, RM_JSON_OBJECT},
    [RM_EMBED__POOLING] = {read_pooling, RM_JSON_OBJECT},
    [RM_EMBED__MODULES] = {check_modules, RM_JSON_ARRAY},
};

static rm_status read_text(document *doc, rm_slice text, const struct step *step, rm_model_shape *shape)
{
    rm_arena scratch;
    rm_arena_init(&scratch, NULL, SCRATCH_BYTES_MAX);
    rm_status status = rm_json_parse(&scratch, text, &doc->root);
    if (status == RM_ENOMEM)
        status = refuse(doc, RM_ENOMEM, "out of memory");
    else if (status != RM_OK || rm_json_typeof(doc->root) != step->type)
        status = refuse(doc, RM_ECORRUPT, "is no JSON %s; get the file again",
                        step->type == RM_JSON_ARRAY ? "array" : "object");
    else
        status = step->read(doc, shape);
    rm_arena_deinit(&scratch);
    return status;
}

rm_status rm_embed__shape_parse(const char *folder, const rm_slice texts[RM_EMBED__SHAPE_FILES],
                                rm_model_shape *ret_shape, rm_buf *why)
{
    document doc = {.why = why};
    rm_model_shape shape = {0};
    rm_status status = RM_OK;
    for (int i = 0; status == RM_OK && i < RM_EMBED__SHAPE_FILES; i++) {
        status = rm_embed__path(folder, file_names[i], doc.path, why);
        if (status == RM_OK && (texts[i].ptr || i == RM_EMBED__CONFIG))
            status = read_text(&doc, texts[i], &steps[i], &shape);
    }
    if (status == RM_OK)
        *ret_shape = shape;
    return status;
}

rm_status rm_embed__shape_read(const char *folder, rm_model_shape *ret_shape, rm_buf *why)
{
    char path[RM_EMBED__PATH_BYTES];
    rm_buf bufs[RM_EMBED__SHAPE_FILES] = {0};
    rm_slice texts[RM_EMBED__SHAPE_FILES] = {0};
    rm_status status = RM_OK;
    for (int i = 0; status == RM_OK && i < RM_EMBED__SHAPE_FILES; i++) {
        rm_buf_init(&bufs[i], RM_EMBED_CONFIG_BYTES_MAX + RM_EMBED__READ_SPARE);
        status = rm_embed__path(folder, file_names[i], path, why);
        if (status == RM_OK)
            status = rm_embed__read_file(path, RM_EMBED_CONFIG_BYTES_MAX,
                                         i == RM_EMBED__CONFIG ? RM_EMBED__MEND_MISSING : NULL, &bufs[i], why);
        if (status == RM_OK)
            texts[i] = rm_buf_slice(&bufs[i]);
        else if (status == RM_ENOTFOUND && i != RM_EMBED__CONFIG)
            status = RM_OK;
    }
    if (status == RM_OK)
        status = rm_embed__shape_parse(folder, texts, ret_shape, why);
    for (int i = 0; i < RM_EMBED__SHAPE_FILES; i++)
        rm_buf_deinit(&bufs[i]);
    return status;
}
