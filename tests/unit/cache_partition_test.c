/* What a request asks: the last user's text, and the partition of all else. Bodies are written with ' for ". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "remora/semantic.h"

/* Where and for whom a body is asked. */
typedef struct context {
    const char *upstream, *name_space, *variant;
    rm_key128 scope;
    uint8_t secret[32];
} context;

static const context usual = {"openai", "", "", {1, 2}, "0123456789abcdef0123456789abcdef"};

typedef struct asked {
    rm_arena arena;
    rm_request_info info;
    rm_semantic_question question;
    rm_status status;
} asked;

static const rm_semantic_question untouched = {RM_SEMANTIC_FITNESS_COUNT, {7, 7}, {"untouched", 9}};

/* The caller ends its arena. */
static void ask_text(asked *one, rm_op op, rm_slice body, const context *with)
{
    rm_tenant tenant = {.scope = with->scope};
    rm_arena_init(&one->arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    one->question = untouched;
    one->status = rm_provider_read_request(op, body, &one->arena, &one->info);
    if (!one->status)
        one->status = rm_semantic_question_read(&one->info, rm_slice_cstr(with->upstream), &tenant,
                                                rm_slice_cstr(with->name_space), rm_slice_cstr(with->variant),
                                                with->secret, &one->question);
}

static void ask_with(asked *one, rm_op op, const char *quoted, const context *with)
{
    char *body = strdup(quoted);
    assert_non_null(body);
    for (char *c = body; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    ask_text(one, op, rm_slice_cstr(body), with);
    free(body); /* the question keeps nothing of it */
    assert_int_equal(one->status, RM_OK);
}

/* The partition of what is fit and asks `text`. */
static rm_key128 partition_of(rm_op op, const char *quoted, const char *text, const context *with)
{
    asked one;
    ask_with(&one, op, quoted, with);
    assert_string_equal(rm_semantic_fitness_name(one.question.fitness), "fit");
    assert_true(rm_slice_eq(one.question.text, rm_slice_cstr(text)));
    assert_true(one.question.partition.hi || one.question.partition.lo);
    rm_key128 key = one.question.partition;
    rm_arena_deinit(&one.arena);
    return key;
}

/* ---- pairs ------------------------------------------------------------------------------------------------------- */

typedef struct side {
    const char *body, *text;
} side;

static void check_pair(rm_op op, side a, side b, bool same)
{
    rm_key128 first = partition_of(op, a.body, a.text, &usual), second = partition_of(op, b.body, b.text, &usual);
    if (rm_key128_eq(first, second) != same)
        fail_msg("%s\n%s", a.body, b.body);
}

/* Each list begins with the side that the others are compared with: equal up to the first {NULL}, different after. */
static void check_list(rm_op op, const side *list)
{
    bool same = true;
    for (size_t i = 1; same || list[i].body; i++) {
        if (list[i].body)
            check_pair(op, list[0], list[i], same);
        else
            same = false;
    }
}

#define CHAT(rest, text) "{'model':'m'," rest "'messages':[{'role':'user','content':" text "}]}"
#define TALK(history, text) \
    "{'model':'m','messages':[{'role':'system','content':'Be brief.'}," history "{'role':'user','content':" text "}]}"

static void chat_with_one_text(void **state)
{
    (void)state;
    static const side list[] = {
        {CHAT("", "'How far is it?'"), "How far is it?"},
        {CHAT("", "'What is the distance?'"), "What is the distance?"},
        {CHAT("", "'How f\\u0061r is it?'"), "How far is it?"},
        {CHAT("", "'\\u20ac \\ud83d\\ude00'"), "\xe2\x82\xac \xf0\x9f\x98\x80"},
        {CHAT("", "'\xe2\x82\xac'"), "\xe2\x82\xac"},
        {"{'messages' : [ {'content':'x', 'role':'us\\u0065r'} ], 'model':'m'}", "x"},
        {CHAT("'stream':true,'user':'u','metadata':{'a':'b'},", "'x'"), "x"},
        {CHAT("", "'user'"), "user"},
        {CHAT("", "' x '"), " x "},
        {NULL, NULL},
        {"{'model':'n','messages':[{'role':'user','content':'How far is it?'}]}", "How far is it?"},
        {CHAT("'temperature':0,", "'How far is it?'"), "How far is it?"},
        {CHAT("'max_tokens':10,", "'How far is it?'"), "How far is it?"},
        {CHAT("'tools':[{'type':'function','function':{'name':'f'}}],", "'How far is it?'"), "How far is it?"},
        {CHAT("'response_format':{'type':'json_object'},", "'How far is it?'"), "How far is it?"},
        {CHAT("'unknown':1,", "'How far is it?'"), "How far is it?"},
        {CHAT("", "'How far is it?','name':'Ann'"), "How far is it?"},
        {CHAT("", "[{'type':'text','text':'How far is it?'}]"), "How far is it?"},
        {TALK("", "'How far is it?'"), "How far is it?"},
        {NULL, NULL},
    };
    check_list(RM_OP_CHAT, list);
}

static void chat_with_parts(void **state)
{
    (void)state;
    static const side one[] = {
        {CHAT("", "[{'type':'text','text':'a'}]"), "a"},
        {CHAT("", "[{'text':'b','type':'text'}]"), "b"},
        {NULL, NULL},
        {CHAT("", "[{'type':'text','text':'a','cache_control':{'type':'ephemeral'}}]"), "a"},
        {CHAT("", "[{'type':'text','text':'a'},{'type':'text','text':'a'}]"), "a"},
        {NULL, NULL},
    };
    static const side several[] = {
        {CHAT("", "[{'type':'text','text':'context'},{'type':'text','text':'a'}]"), "a"},
        {CHAT("", "[{'type':'text','text':'context'},{'type':'text','text':'b'}]"), "b"},
        {NULL, NULL},
        {CHAT("", "[{'type':'text','text':'Context'},{'type':'text','text':'a'}]"), "a"},
        {CHAT("", "[{'type':'text','text':'a'},{'type':'text','text':'context'}]"), "context"},
        {CHAT("", "[{'type':'text','text':'context'},{'type':'text','text':'x'},{'type':'text','text':'a'}]"), "a"},
        {NULL, NULL},
    };
    check_list(RM_OP_CHAT, one);
    check_list(RM_OP_CHAT, several);
}

#define SAID(user, assistant) "{'role':'user','content':'" user "'},{'role':'assistant','content':'" assistant "'},"
#define TOOLS                                                                                                    \
    "{'role':'assistant','tool_calls':[{'id':'1','type':'function','function':{'name':'f','arguments':'{}'}}]}," \
    "{'role':'tool','tool_call_id':'1','content':'42'},"

static void conversations_differ_by_every_turn(void **state)
{
    (void)state;
    static const side list[] = {
        {TALK(SAID("Paris?", "In France."), "'And its population?'"), "And its population?"},
        {TALK(SAID("Paris?", "In France."), "'How many live there?'"), "How many live there?"},
        {NULL, NULL},
        {TALK(SAID("Rome?", "In France."), "'And its population?'"), "And its population?"},
        {TALK(SAID("Paris?", "In Texas."), "'And its population?'"), "And its population?"},
        {TALK("", "'And its population?'"), "And its population?"},
        {TALK(SAID("Paris?", "In France.") SAID("Paris?", "In France."), "'And its population?'"),
         "And its population?"},
        {TALK("{'role':'user','content':'Paris?'},{'role':'user','content':'In France.'},", "'And its population?'"),
         "And its population?"},
        {NULL, NULL},
    };
    static const side tools[] = {
        {TALK("{'role':'user','content':'Sum?'}," TOOLS "{'role':'assistant','content':'42'},", "'Sure?'"), "Sure?"},
        {TALK("{'role':'user','content':'Sum?'}," TOOLS "{'role':'assistant','content':'42'},", "'Really?'"),
         "Really?"},
        {NULL, NULL},
        {TALK("{'role':'user','content':'Sum?'}," TOOLS "{'role':'assistant','content':'43'},", "'Sure?'"), "Sure?"},
        {NULL, NULL},
    };
    check_list(RM_OP_CHAT, list);
    check_list(RM_OP_CHAT, tools);
}

static void messages_of_anthropic(void **state)
{
    (void)state;
#define CLAUDE(rest, content) "{'model':'c','max_tokens':9," rest "'messages':[{'role':'user','content':" content "}]}"
    static const side list[] = {
        {CLAUDE("'system':'s',", "'a'"), "a"},
        {CLAUDE("'system':'s',", "'b'"), "b"},
        {CLAUDE("'system':'s','metadata':{'user_id':'u'},'stream':true,", "'c'"), "c"},
        {NULL, NULL},
        {CLAUDE("'system':'t',", "'a'"), "a"},
        {CLAUDE("'system':[{'type':'text','text':'s'}],", "'a'"), "a"},
        {CLAUDE("'system':'s','thinking':{'type':'enabled','budget_tokens':1024},", "'a'"), "a"},
        {CLAUDE("'system':'s',", "[{'type':'text','text':'a'}]"), "a"},
        {CLAUDE("'system':'s',", "[{'type':'text','text':'a','cache_control':{'type':'ephemeral'}}]"), "a"},
        {NULL, NULL},
    };
    check_list(RM_OP_MESSAGES, list);
}

static void responses_and_completions(void **state)
{
    (void)state;
#define RESPONSE(rest) "{'model':'m','store':false," rest "}"
    static const side strings[] = {
        {RESPONSE("'input':'a'"), "a"},
        {RESPONSE("'input':'b','user':'u'"), "b"},
        {NULL, NULL},
        {RESPONSE("'input':'a','instructions':'i'"), "a"},
        {RESPONSE("'input':[{'role':'user','content':'a'}]"), "a"},
        {RESPONSE("'input':[{'role':'user','content':[{'type':'input_text','text':'a'}]}]"), "a"},
        {NULL, NULL},
    };
    static const side lists[] = {
        {RESPONSE("'input':[{'type':'message','role':'user','content':[{'type':'input_text','text':'a'}]}]"), "a"},
        {RESPONSE("'input':[{'type':'message','role':'user','content':[{'type':'input_text','text':'b'}]}]"), "b"},
        {NULL, NULL},
        {RESPONSE("'input':[{'role':'user','content':[{'type':'input_text','text':'a'}]}]"), "a"},
        {RESPONSE("'input':[{'type':'reasoning','summary':[]},{'type':'message','role':'user','content':[{'type':"
                  "'input_text','text':'a'}]}]"),
         "a"},
        {NULL, NULL},
    };
    static const side prompts[] = {
        {"{'model':'m','prompt':'a'}", "a"},
        {"{'prompt':'b','model':'m','stream':true}", "b"},
        {NULL, NULL},
        {"{'model':'m','prompt':'a','suffix':'s'}", "a"},
        {"{'model':'m','prompt':'a','n':1}", "a"}, /* as in the exact cache, a default that is told is no default */
        {NULL, NULL},
    };
    check_list(RM_OP_RESPONSES, strings);
    check_list(RM_OP_RESPONSES, lists);
    check_list(RM_OP_COMPLETIONS, prompts);
}

/* What stands for the text in the key cannot be written by a caller. */
static void the_hole_cannot_be_forged(void **state)
{
    (void)state;
    rm_key128 key = partition_of(RM_OP_CHAT, TALK(SAID("?", "a"), "'x'"), "x", &usual);
    assert_true(rm_key128_eq(key, partition_of(RM_OP_CHAT, TALK(SAID("?", "a"), "'?'"), "?", &usual)));
    asked odd;
    ask_with(&odd, RM_OP_CHAT, TALK(SAID("?", "a"), "'\\u0022?\\u0022,\\u0000'"), &usual);
    assert_true(rm_slice_eq(odd.question.text, RM_SLICE("\"?\",\0")));
    assert_true(rm_key128_eq(key, odd.question.partition));
    rm_arena_deinit(&odd.arena);
    /* the same two texts, the other way round; the hole's text elsewhere; text that reads like the rest of the body */
    check_pair(RM_OP_CHAT, (side){TALK(SAID("?", "a"), "'x'"), "x"}, (side){TALK(SAID("x", "a"), "'?'"), "?"}, false);
    check_pair(RM_OP_CHAT, (side){TALK(SAID("x", "?"), "'x'"), "x"}, (side){TALK(SAID("x", "x"), "'?'"), "?"}, false);
    check_pair(RM_OP_CHAT, (side){CHAT("", "[{'type':'text','text':'?'},{'type':'text','text':'x'}]"), "x"},
               (side){CHAT("", "[{'type':'text','text':'x'},{'type':'text','text':'?'}]"), "?"}, false);
    check_pair(RM_OP_CHAT, (side){CHAT("", "'x'"), "x"}, (side){CHAT("", "'x','name':'?'"), "x"}, false);
}

/* ---- fitness ----------------------------------------------------------------------------------------------------- */

#define URL "data:image/png;base64,AA=="

typedef struct fitness_case {
    rm_op op;
    const char *body;
    rm_semantic_fitness fitness;
} fitness_case;

static void check_fitness(const fitness_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        asked one;
        ask_with(&one, cases[i].op, cases[i].body, &usual);
        const rm_semantic_question *q = &one.question;
        if (q->fitness != cases[i].fitness)
            fail_msg("%s: %s", cases[i].body, rm_semantic_fitness_name(q->fitness));
        if (q->fitness != RM_SEMANTIC_FIT) {
            assert_true(rm_key128_eq(q->partition, (rm_key128){0, 0}));
            assert_int_equal(q->text.len, 0);
        }
        rm_arena_deinit(&one.arena);
    }
}

static void requests_for_the_exact_cache_only(void **state)
{
    (void)state;
    static const fitness_case cases[] = {
        {RM_OP_EMBEDDINGS, "{'model':'m','input':'a'}", RM_SEMANTIC_OPERATION},
        {RM_OP_OTHER, "{'messages':[{'role':'user','content':'a'}]}", RM_SEMANTIC_OPERATION},
        {RM_OP_MODELS, "{}", RM_SEMANTIC_OPERATION},
        {RM_OP_COMPLETIONS, "{'prompt':['a']}", RM_SEMANTIC_OPERATION},
        {RM_OP_COMPLETIONS, "{'prompt':[1,2]}", RM_SEMANTIC_OPERATION},
        {RM_OP_RESPONSES, "{'input':'a'}", RM_SEMANTIC_STATEFUL},
        {RM_OP_RESPONSES, RESPONSE("'input':[{'type':'item_reference','id':'i'},{'role':'user','content':'a'}]"),
         RM_SEMANTIC_STATEFUL},
        {RM_OP_RESPONSES, RESPONSE("'input':'a','previous_response_id':'r'"), RM_SEMANTIC_STATEFUL},
        {RM_OP_CHAT, CHAT("'n':2,", "'a'"), RM_SEMANTIC_CHOICES},
        {RM_OP_CHAT, CHAT("'n':0,", "'a'"), RM_SEMANTIC_CHOICES},
        {RM_OP_CHAT, CHAT("'n':1,", "'a'"), RM_SEMANTIC_FIT},
        {RM_OP_CHAT, CHAT("'echo':true,", "'a'"), RM_SEMANTIC_FIT},
        {RM_OP_COMPLETIONS, "{'prompt':'a','n':3}", RM_SEMANTIC_CHOICES},
        {RM_OP_COMPLETIONS, "{'prompt':'a','echo':true}", RM_SEMANTIC_ECHO},
        {RM_OP_COMPLETIONS, "{'prompt':'a','echo':1}", RM_SEMANTIC_ECHO},
        {RM_OP_COMPLETIONS, "{'prompt':'a','echo':null}", RM_SEMANTIC_FIT},
        {RM_OP_CHAT, CHAT("'x':{'a':1,'a':1},", "'a'"), RM_SEMANTIC_NOT_CANONICAL},
        {RM_OP_CHAT, CHAT("", "'a','content':'b'"), RM_SEMANTIC_NOT_CANONICAL},
        {RM_OP_CHAT, CHAT("'messages':[{'role':'user','content':'b'}],", "'a'"), RM_SEMANTIC_NOT_CANONICAL},
        {RM_OP_CHAT, CHAT("'metadata':{'a':1,'\\u0061':1},", "'a'"), RM_SEMANTIC_NOT_CANONICAL},
        {RM_OP_CHAT, CHAT("'seed':1e9999999999999999,", "'a'"), RM_SEMANTIC_NOT_CANONICAL},
    };
    check_fitness(cases, RM_COUNT(cases));
}

static void the_last_word_is_the_users(void **state)
{
    (void)state;
    static const fitness_case cases[] = {
        {RM_OP_COMPLETIONS, "{'prompt':''}", RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_COMPLETIONS, "{'prompt':7}", RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_COMPLETIONS, "{}", RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_CHAT, "{}", RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_CHAT, "{'messages':'a'}", RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_CHAT, "{'messages':[]}", RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_CHAT, "{'messages':['a']}", RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_CHAT, "{'messages':[{'content':'a'}]}", RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_CHAT, "{'messages':[{'role':'User','content':'a'}]}", RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_CHAT, CHAT("", "''"), RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_CHAT, CHAT("", "' \\n\\t\\r'"), RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_CHAT, CHAT("", "null"), RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_CHAT, CHAT("", "[]"), RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_CHAT, CHAT("", "[{'type':'text'}]"), RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_CHAT, CHAT("", "[{'type':'text','text':'a'},{'type':'text','text':''}]"), RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_CHAT, CHAT("", "'a'},{'role':'assistant','content':'b'"), RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_CHAT, CHAT("", "'a'},{'role':'system','content':'b'"), RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_MESSAGES, CLAUDE("", "'a'},{'role':'assistant','content':'{'"), RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_RESPONSES, RESPONSE("'input':[]"), RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_RESPONSES, RESPONSE("'input':''"), RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_RESPONSES, RESPONSE("'prompt':{'id':'p','version':'1'}"), RM_SEMANTIC_NO_USER_TEXT},
        {RM_OP_RESPONSES, RESPONSE("'input':[{'type':'newer','role':'user','content':'a'}]"), RM_SEMANTIC_NO_USER_TEXT},
    };
    check_fitness(cases, RM_COUNT(cases));
}

static void media_in_the_last_turn(void **state)
{
    (void)state;
    static const fitness_case cases[] = {
        {RM_OP_CHAT, CHAT("", "[{'type':'text','text':'a'},{'type':'image_url','image_url':{'url':'" URL "'}}]"),
         RM_SEMANTIC_MEDIA},
        {RM_OP_CHAT, CHAT("", "[{'type':'input_audio','input_audio':{}},{'type':'text','text':'a'}]"),
         RM_SEMANTIC_MEDIA},
        {RM_OP_CHAT, CHAT("", "[{'type':'file','file':{}},{'type':'text','text':'a'}]"), RM_SEMANTIC_MEDIA},
        {RM_OP_CHAT, CHAT("", "['a']"), RM_SEMANTIC_MEDIA},
        {RM_OP_CHAT, CHAT("", "[{'type':'image_url','image_url':{'url':'" URL "'}}]},{'role':'user','content':'a'"),
         RM_SEMANTIC_MEDIA},
        {RM_OP_CHAT,
         CHAT("", "[{'type':'image_url','image_url':{'url':'" URL
                  "'}}]},{'role':'assistant','content':'b'},{'role':'user','content':'a'"),
         RM_SEMANTIC_FIT},
        {RM_OP_MESSAGES, CLAUDE("", "[{'type':'image','source':{}},{'type':'text','text':'a'}]"), RM_SEMANTIC_MEDIA},
        {RM_OP_MESSAGES, CLAUDE("", "[{'type':'document','source':{}},{'type':'text','text':'a'}]"), RM_SEMANTIC_MEDIA},
        {RM_OP_RESPONSES, RESPONSE("'input':[{'role':'user','content':[{'type':'text','text':'a'}]}]"),
         RM_SEMANTIC_MEDIA},
        {RM_OP_RESPONSES,
         RESPONSE("'input':[{'role':'user','content':[{'type':'input_image','image_url':'" URL "'}]}]"),
         RM_SEMANTIC_MEDIA},
        {RM_OP_MESSAGES, CLAUDE("", "[{'type':'image'}]},{'role':'assistant','content':'{'"), RM_SEMANTIC_MEDIA},
    };
    check_fitness(cases, RM_COUNT(cases));
}

static void tool_results_in_the_last_turn(void **state)
{
    (void)state;
    static const fitness_case cases[] = {
        {RM_OP_CHAT, TALK(SAID("a", "b") TOOLS, "'a'"), RM_SEMANTIC_TOOL_RESULT},
        {RM_OP_CHAT, TALK(TOOLS "{'role':'assistant','content':'b'},{'role':'system','content':'c'},", "'a'"),
         RM_SEMANTIC_FIT},
        {RM_OP_CHAT, CHAT("", "'a'},{'role':'tool','content':'b'"), RM_SEMANTIC_TOOL_RESULT},
        {RM_OP_CHAT, CHAT("", "'a'},{'role':'function','content':'b'"), RM_SEMANTIC_TOOL_RESULT},
        {RM_OP_CHAT, CHAT("", "'a'},{'role':'tool','content':'b'},{'role':'assistant','content':'c'"),
         RM_SEMANTIC_TOOL_RESULT},
        {RM_OP_MESSAGES, CLAUDE("", "[{'type':'tool_result','tool_use_id':'t','content':'42'}]"),
         RM_SEMANTIC_TOOL_RESULT},
        {RM_OP_MESSAGES, CLAUDE("", "[{'type':'tool_result','tool_use_id':'t'},{'type':'text','text':'a'}]"),
         RM_SEMANTIC_TOOL_RESULT},
        {RM_OP_MESSAGES, CLAUDE("", "[{'type':'text','text':'a'},{'type':'tool_result','tool_use_id':'t'}]"),
         RM_SEMANTIC_TOOL_RESULT},
        {RM_OP_RESPONSES,
         RESPONSE("'input':[{'role':'user','content':'a'},{'type':'function_call','call_id':'1'},"
                  "{'type':'function_call_output','call_id':'1','output':'42'}]"),
         RM_SEMANTIC_TOOL_RESULT},
        {RM_OP_RESPONSES,
         RESPONSE("'input':[{'type':'function_call_output','call_id':'1','output':'42'},"
                  "{'role':'user','content':'a'}]"),
         RM_SEMANTIC_TOOL_RESULT},
        {RM_OP_RESPONSES,
         RESPONSE("'input':[{'type':'function_call_output','call_id':'1','output':'42'},"
                  "{'role':'assistant','content':'b'},{'role':'user','content':'a'}]"),
         RM_SEMANTIC_FIT},
        {RM_OP_RESPONSES,
         RESPONSE("'input':[{'role':'user','content':'a'},{'type':'mcp_approval_request'},"
                  "{'type':'mcp_approval_response','approve':true}]"),
         RM_SEMANTIC_TOOL_RESULT},
        {RM_OP_MESSAGES, CLAUDE("", "[{'type':'image'},{'type':'tool_result'},{'type':'text','text':'a'}]"),
         RM_SEMANTIC_TOOL_RESULT},
    };
    check_fitness(cases, RM_COUNT(cases));
}

static void each_fitness_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < RM_SEMANTIC_FITNESS_COUNT; i++) {
        assert_true(strlen(rm_semantic_fitness_text((rm_semantic_fitness)i)) > 0);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(rm_semantic_fitness_name((rm_semantic_fitness)i),
                                    rm_semantic_fitness_name((rm_semantic_fitness)j));
    }
    assert_string_equal(rm_semantic_fitness_name(RM_SEMANTIC_FITNESS_COUNT), "unknown");
    assert_string_equal(rm_semantic_fitness_text(RM_SEMANTIC_FITNESS_COUNT), "unknown");
}

/* ---- the other parts --------------------------------------------------------------------------------------------- */

static void every_part_counts(void **state)
{
    (void)state;
    static const context parts[] = {
        {"ab", "c", "", {1, 2}, "secret"}, {"a", "bc", "", {1, 2}, "secret"},  {"abc", "", "", {1, 2}, "secret"},
        {"", "abc", "", {1, 2}, "secret"}, {"ab", "", "c", {1, 2}, "secret"},  {"", "", "abc", {1, 2}, "secret"},
        {"ab", "c", "", {2, 1}, "secret"}, {"ab", "c", "", {1, 3}, "secret"},  {"ab", "c", "", {0, 2}, "secret"},
        {"ab", "C", "", {1, 2}, "secret"}, {"ab", "c", "", {1, 2}, "secret2"}, {"ab", "c", "", {1, 2}, ""},
    };
    enum { PARTS = RM_COUNT(parts) };
    rm_key128 keys[PARTS + 2];
    for (size_t i = 0; i < PARTS; i++)
        keys[i] = partition_of(RM_OP_CHAT, CHAT("", "'a'"), "a", &parts[i]);
    keys[PARTS] = partition_of(RM_OP_MESSAGES, CHAT("", "'a'"), "a", &parts[0]);
    context last_byte = parts[0];
    last_byte.secret[31] = 1;
    keys[PARTS + 1] = partition_of(RM_OP_CHAT, CHAT("", "'a'"), "a", &last_byte);
    for (size_t i = 0; i < RM_COUNT(keys); i++)
        for (size_t j = 0; j < i; j++)
            assert_false(rm_key128_eq(keys[i], keys[j]));
}

/* The message that is signed, written by hand: entries outlive the program that wrote them. */
static void the_key_is_that_of_the_contract(void **state)
{
    (void)state;
    static const char message[] = "\x11\0\0\0remora semantic 1"
                                  "\4\0\0\0chat"
                                  "\6\0\0\0openai"
                                  "\x10\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0"
                                  "\0\0\0\0"
                                  "\0\0\0\0"
                                  "{\"messages\":[{\"content\":?,\"role\":\"user\"}],\"model\":\"m\"}";
    uint8_t mac[RM_HMAC_BYTES];
    assert_int_equal(rm_hmac_sha256(rm_slice_make((const char *)usual.secret, sizeof(usual.secret)),
                                    rm_slice_make(message, sizeof(message) - 1), mac),
                     RM_OK);
    rm_key128 key = partition_of(RM_OP_CHAT, CHAT("", "'a'"), "a", &usual);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(mac[i], (uint8_t)(key.hi >> (56 - 8 * i)));
        assert_int_equal(mac[8 + i], (uint8_t)(key.lo >> (56 - 8 * i)));
    }
}

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(rm_key128));
}

static void no_two_tenants_meet(void **state)
{
    (void)state;
    enum { TENANTS = 5000 };
    static rm_key128 keys[TENANTS];
    for (uint64_t i = 0; i < TENANTS; i++) {
        context with = usual;
        with.scope = (rm_key128){i / 50, i % 50};
        keys[i] = partition_of(RM_OP_CHAT, CHAT("", "'a'"), "a", &with);
    }
    qsort(keys, TENANTS, sizeof(keys[0]), compare_keys);
    for (size_t i = 1; i < TENANTS; i++)
        assert_false(rm_key128_eq(keys[i - 1], keys[i]));
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

/* Numbers are the one thing that the canonical form may spell longer: here by a byte each. */
#define TENS       "10,10,10,10,10,10,10,10,10,10,10,10,10,10,10,10,10,10,10,10"
#define TENS_CANON "1e1,1e1,1e1,1e1,1e1,1e1,1e1,1e1,1e1,1e1,1e1,1e1,1e1,1e1,1e1,1e1,1e1,1e1,1e1,1e1"

/* A chat with a history of one message of `history` bytes and a last text of `text` bytes. */
static rm_semantic_fitness fitness_of_lengths(size_t history, size_t text, const char *variant)
{
    context with = usual;
    asked one;
    rm_buf body;
    with.variant = variant;
    rm_buf_init(&body, RM_BODY_BYTES_MAX + RM_MIB);
    rm_buf_append_cstr(&body, "{\"messages\":[{\"content\":\"");
    assert_int_equal(rm_buf_reserve(&body, history + text + 512), RM_OK);
    memset(body.ptr + body.len, 'h', history);
    body.len += history;
    rm_buf_append_cstr(&body, "\",\"role\":\"assistant\"},{\"content\":\"");
    memset(body.ptr + body.len, 't', text);
    body.len += text;
    assert_int_equal(rm_buf_append_cstr(&body, "\",\"role\":\"user\"}],"
                                               "\"x\":[" TENS "," TENS "," TENS "," TENS "]}"),
                     RM_OK);
    ask_text(&one, RM_OP_CHAT, rm_buf_slice(&body), &with);
    assert_int_equal(one.status, RM_OK);
    rm_semantic_fitness fitness = one.question.fitness;
    assert_int_equal(one.question.text.len, fitness == RM_SEMANTIC_FIT ? text : 0);
    rm_arena_deinit(&one.arena);
    rm_buf_deinit(&body);
    return fitness;
}

static void the_longest_text(void **state)
{
    (void)state;
    assert_int_equal(fitness_of_lengths(0, RM_GUARD_TEXT_BYTES_MAX, ""), RM_SEMANTIC_FIT);
    assert_int_equal(fitness_of_lengths(0, RM_GUARD_TEXT_BYTES_MAX + 1, ""), RM_SEMANTIC_TOO_LONG);
    assert_int_equal(fitness_of_lengths(4 * RM_MIB, 5, ""), RM_SEMANTIC_FIT);
}

/* What is signed may be 64 KiB longer than the longest body. */
static void the_longest_body(void **state)
{
    (void)state;
    static char variant[100 * RM_KIB];
    /* the parts with the variant's length, and the body around the history with the hole for its text */
    size_t parts = 4 + 17 + 4 + 4 + 4 + 6 + 4 + 16 + 4 + 4;
    size_t around =
        strlen("{\"messages\":[{\"content\":\"\",\"role\":\"assistant\"},{\"content\":?,\"role\":\"user\"}],"
               "\"x\":[" TENS_CANON "," TENS_CANON "," TENS_CANON "," TENS_CANON "]}");
    size_t room = 64 * RM_KIB - parts - around + RM_KIB;
    memset(variant, 'v', room);
    assert_int_equal(fitness_of_lengths(RM_BODY_BYTES_MAX - RM_KIB, 1, variant), RM_SEMANTIC_FIT);
    variant[room] = 'v';
    assert_int_equal(fitness_of_lengths(RM_BODY_BYTES_MAX - RM_KIB, 1, variant), RM_SEMANTIC_NOT_CANONICAL);
}

static void the_deepest_body(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        char deep[2 * RM_JSON_DEPTH_MAX + 128] = "{'messages':[{'role':'user','content':'a'}],'x':";
        size_t at = strlen(deep), depth = RM_JSON_DEPTH_MAX - 1 + more;
        memset(deep + at, '[', depth);
        memset(deep + at + depth, ']', depth);
        memcpy(deep + at + 2 * depth, "}", 2);
        asked one;
        ask_with(&one, RM_OP_CHAT, deep, &usual);
        assert_int_equal(one.question.fitness, more ? RM_SEMANTIC_NOT_CANONICAL : RM_SEMANTIC_FIT);
        rm_arena_deinit(&one.arena);
    }
}

#ifdef REMORA_FAULTS
static void each_allocation_fails(void **state)
{
    (void)state;
    /* more members than the canonical form has room for without the heap */
    rm_buf body;
    rm_buf_init(&body, RM_MIB);
    rm_buf_append_cstr(&body, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]");
    for (int i = 0; i < 100; i++)
        rm_buf_appendf(&body, ",\"k%d\":10", i);
    assert_int_equal(rm_buf_append_char(&body, '}'), RM_OK);
    rm_status status = RM_ENOMEM;
    uint64_t nth = 1;
    for (; status; nth++) {
        asked one;
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        ask_text(&one, RM_OP_CHAT, rm_buf_slice(&body), &usual);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        status = one.status;
        assert_true(status == RM_OK || status == RM_ENOMEM);
        if (status)
            assert_true(one.question.fitness == untouched.fitness && one.question.text.ptr == untouched.text.ptr &&
                        rm_key128_eq(one.question.partition, untouched.partition));
        else
            assert_int_equal(one.question.fitness, RM_SEMANTIC_FIT);
        rm_arena_deinit(&one.arena);
        assert_true(nth < 40);
    }
    assert_true(nth > 4); /* the document, the buffer, the members */
    rm_buf_deinit(&body);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chat_with_one_text),
        cmocka_unit_test(chat_with_parts),
        cmocka_unit_test(conversations_differ_by_every_turn),
        cmocka_unit_test(messages_of_anthropic),
        cmocka_unit_test(responses_and_completions),
        cmocka_unit_test(the_hole_cannot_be_forged),
        cmocka_unit_test(requests_for_the_exact_cache_only),
        cmocka_unit_test(the_last_word_is_the_users),
        cmocka_unit_test(media_in_the_last_turn),
        cmocka_unit_test(tool_results_in_the_last_turn),
        cmocka_unit_test(each_fitness_has_a_name),
        cmocka_unit_test(every_part_counts),
        cmocka_unit_test(the_key_is_that_of_the_contract),
        cmocka_unit_test(no_two_tenants_meet),
        cmocka_unit_test(the_longest_text),
        cmocka_unit_test(the_longest_body),
        cmocka_unit_test(the_deepest_body),
#ifdef REMORA_FAULTS
        cmocka_unit_test(each_allocation_fails),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
