/* What OpenAI's and Anthropic's models cost where no cost map is configured: USD per million tokens.
 * All figures, those of service tiers and long prompts too, are taken by a script from LiteLLM's cost map as published
 * with its version 1.109.1, on the date below. Sorted by name. A model's dated names are found through its undated one. */
#include "provider_internal.h"

/* -1: no such price. The compiler divides. */
#define USD(per_million) ((per_million) < 0 ? -1.0 : (per_million) / 1e6)
#define ENTRY(name, input, cached, write, output, batch_input, batch_output, context, rules, count)                \
    {                                                                                                              \
        {name, sizeof(name) - 1},                                                                                  \
        {                                                                                                          \
            USD(input), USD(cached), USD(write), USD(output), USD(batch_input), USD(batch_output), context, rules, \
                count                                                                                              \
        }                                                                                                          \
    }
#define MODEL(name, input, cached, write, output, batch_input, batch_output, context) \
    ENTRY(name, input, cached, write, output, batch_input, batch_output, context, NULL, 0)
#define RULED(name, input, cached, write, output, batch_input, batch_output, context, rules) \
    ENTRY(name, input, cached, write, output, batch_input, batch_output, context, rules, RM_COUNT(rules))

#define ALL (-1) /* prompts of any length */
#define RULE(above, tier, input, cached, write, output)                                                                \
    {                                                                                                                  \
        above, RM_TIER_##tier,                                                                                         \
        {                                                                                                              \
            [RM_PRICE_INPUT] = USD(input), [RM_PRICE_CACHED_INPUT] = USD(cached), [RM_PRICE_CACHE_WRITE] = USD(write), \
            [RM_PRICE_OUTPUT] = USD(output)                                                                            \
        }                                                                                                              \
    }

/* clang-format off */
/* Each: what costs other than in the table below. First those of short prompts; then, above the length, all of the request. */
static const rm_provider__price_rule claude_haiku_5_5[] = {
    /*   above     tier        input  cached   write  output */
    RULE(100000,   STANDARD,     0.5,   0.05,  0.625,    2.5),
};
static const rm_provider__price_rule gpt_4_1[] = {
    RULE(ALL,      PRIORITY,     3.5,  0.875,     -1,     14),
};
static const rm_provider__price_rule gpt_4_1_mini[] = {
    RULE(ALL,      PRIORITY,     0.7,  0.175,     -1,    2.8),
};
static const rm_provider__price_rule gpt_4_1_nano[] = {
    RULE(ALL,      PRIORITY,     0.2,   0.05,     -1,    0.8),
};
static const rm_provider__price_rule gpt_4o[] = {
    RULE(ALL,      PRIORITY,    4.25,  2.125,     -1,     17),
};
static const rm_provider__price_rule gpt_4o_2024_05_13[] = {
    RULE(ALL,      PRIORITY,    8.75,     -1,     -1,  26.25),
};
static const rm_provider__price_rule gpt_4o_mini[] = {
    RULE(ALL,      PRIORITY,    0.25,  0.125,     -1,      1),
};
static const rm_provider__price_rule gpt_5[] = {
    RULE(ALL,      FLEX,       0.625, 0.0625,     -1,      5),
    RULE(ALL,      PRIORITY,     2.5,   0.25,     -1,     20),
};
static const rm_provider__price_rule gpt_5_mini[] = {
    RULE(ALL,      FLEX,       0.125, 0.0125,     -1,      1),
    RULE(ALL,      PRIORITY,    0.45,  0.045,     -1,    3.6),
};
static const rm_provider__price_rule gpt_5_nano[] = {
    RULE(ALL,      FLEX,       0.025, 0.0025,     -1,    0.2),
};
static const rm_provider__price_rule gpt_5_2[] = {
    RULE(ALL,      FLEX,       0.875, 0.0875,     -1,      7),
    RULE(ALL,      PRIORITY,     3.5,   0.35,     -1,     28),
};
static const rm_provider__price_rule gpt_5_3_codex[] = {
    RULE(ALL,      PRIORITY,     3.5,   0.35,     -1,     28),
};
static const rm_provider__price_rule gpt_5_4[] = {
    RULE(ALL,      FLEX,        1.25,   0.13,     -1,    7.5),
    RULE(ALL,      PRIORITY,       5,    0.5,     -1,     30),
    RULE(272000,   STANDARD,       5,    0.5,     -1,   22.5),
    RULE(272000,   FLEX,         2.5,   0.25,     -1,  11.25),
};
static const rm_provider__price_rule gpt_5_4_mini[] = {
    RULE(ALL,      FLEX,       0.375, 0.0375,     -1,   2.25),
    RULE(ALL,      PRIORITY,     1.5,   0.15,     -1,      9),
};
static const rm_provider__price_rule gpt_5_4_nano[] = {
    RULE(ALL,      FLEX,         0.1,   0.01,     -1,  0.625),
};
static const rm_provider__price_rule gpt_5_4_pro[] = {
    RULE(ALL,      FLEX,          15,     -1,     -1,     90),
    RULE(272000,   STANDARD,      60,     -1,     -1,    270),
    RULE(272000,   FLEX,          30,     -1,     -1,    135),
};
static const rm_provider__price_rule gpt_5_5[] = {
    RULE(ALL,      FLEX,         2.5,   0.25,     -1,     15),
    RULE(ALL,      PRIORITY,    12.5,   1.25,     -1,     75),
    RULE(272000,   STANDARD,      10,      1,     -1,     45),
    RULE(272000,   FLEX,           5,    0.5,     -1,   22.5),
};
static const rm_provider__price_rule gpt_5_5_pro[] = {
    RULE(ALL,      FLEX,          15,     -1,     -1,     90),
    RULE(272000,   STANDARD,      60,     -1,     -1,    270),
};
static const rm_provider__price_rule gpt_5_6[] = {
    RULE(ALL,      FLEX,           2,    0.2,    2.5,     10),
    RULE(ALL,      PRIORITY,       8,    0.8,     10,     40),
    RULE(272000,   STANDARD,       8,    0.8,     10,     30),
    RULE(272000,   FLEX,           4,    0.4,      5,     15),
    RULE(272000,   PRIORITY,      16,    1.6,     20,     60),
};
static const rm_provider__price_rule gpt_5_6_luna[] = {
    RULE(ALL,      FLEX,         0.1,   0.01,  0.125,    0.6),
    RULE(ALL,      PRIORITY,     0.4,   0.04,    0.5,    2.4),
    RULE(272000,   STANDARD,     0.4,   0.04,    0.5,    1.8),
    RULE(272000,   FLEX,         0.2,   0.02,   0.25,    0.9),
    RULE(272000,   PRIORITY,     0.8,   0.08,      1,    3.6),
};
static const rm_provider__price_rule gpt_5_6_terra[] = {
    RULE(ALL,      FLEX,           1,    0.1,   1.25,      6),
    RULE(ALL,      PRIORITY,       4,    0.4,      5,     24),
    RULE(272000,   STANDARD,       4,    0.4,      5,     18),
    RULE(272000,   FLEX,           2,    0.2,    2.5,      9),
    RULE(272000,   PRIORITY,       8,    0.8,     10,     36),
};
static const rm_provider__price_rule gpt_6_astra[] = {
    RULE(ALL,      FLEX,           5,    0.5,   6.25,     25),
    RULE(ALL,      PRIORITY,      20,      2,     25,    100),
    RULE(ALL,      ULTRAFAST,     60,      6,     75,    300),
    RULE(272000,   STANDARD,      20,      2,     25,     75),
    RULE(272000,   FLEX,          10,      1,   12.5,   37.5),
    RULE(272000,   PRIORITY,      40,      4,     50,    150),
    RULE(272000,   ULTRAFAST,    120,     12,    150,    450),
};
static const rm_provider__price_rule gpt_6_luna[] = {
    RULE(ALL,      FLEX,        0.05,  0.005, 0.0625,   0.25),
    RULE(ALL,      PRIORITY,     0.2,   0.02,   0.25,      1),
    RULE(272000,   STANDARD,     0.2,   0.02,   0.25,   0.75),
    RULE(272000,   FLEX,         0.1,   0.01,  0.125,  0.375),
    RULE(272000,   PRIORITY,     0.4,   0.04,    0.5,    1.5),
};
static const rm_provider__price_rule gpt_6_sol[] = {
    RULE(ALL,      FLEX,           1,    0.1,   1.25,      5),
    RULE(ALL,      PRIORITY,       4,    0.4,      5,     20),
    RULE(272000,   STANDARD,       4,    0.4,      5,     15),
    RULE(272000,   FLEX,           2,    0.2,    2.5,    7.5),
    RULE(272000,   PRIORITY,       8,    0.8,     10,     30),
};
static const rm_provider__price_rule gpt_6_1_sol[] = {
    RULE(ALL,      FLEX,           1,   0.05,   1.25,      5),
    RULE(ALL,      PRIORITY,       4,    0.2,      5,     20),
    RULE(ALL,      ULTRAFAST,     12,    0.6,     15,     60),
    RULE(272000,   STANDARD,       4,    0.2,      5,     15),
    RULE(272000,   FLEX,           2,    0.1,    2.5,    7.5),
    RULE(272000,   PRIORITY,       8,    0.4,     10,     30),
    RULE(272000,   ULTRAFAST,     24,    1.2,     30,     90),
};
static const rm_provider__price_rule gpt_6_1_terra[] = {
    RULE(ALL,      FLEX,         0.5,  0.025,  0.625,    2.5),
    RULE(ALL,      PRIORITY,       2,    0.1,    2.5,     10),
    RULE(272000,   STANDARD,       2,    0.1,    2.5,    7.5),
    RULE(272000,   FLEX,           1,   0.05,   1.25,   3.75),
    RULE(272000,   PRIORITY,       4,    0.2,      5,     15),
};
static const rm_provider__price_rule o3[] = {
    RULE(ALL,      FLEX,           1,   0.25,     -1,      4),
    RULE(ALL,      PRIORITY,     3.5,  0.875,     -1,     14),
};
static const rm_provider__price_rule o4_mini[] = {
    RULE(ALL,      FLEX,        0.55,  0.138,     -1,    2.2),
    RULE(ALL,      PRIORITY,       2,    0.5,     -1,      8),
};

static const rm_provider__price_entry entries[] = {
    /*    name                       input   cached   write  output   batch in  batch out  context */
    MODEL("claude-fable-5",               10,       1,    12.5,     50,         5,        25,  1000000),
    MODEL("claude-fable-5-1",             10,    0.25,    12.5,     50,         5,        25,  1000000),
    MODEL("claude-haiku-4-5",              1,     0.1,    1.25,      5,       0.5,       2.5,   200000),
    RULED("claude-haiku-5-5",            0.1,    0.01,   0.125,    0.5,      0.05,      0.25,  1000000, claude_haiku_5_5),
    MODEL("claude-opus-4-5",               5,     0.5,    6.25,     25,       2.5,      12.5,   200000),
    MODEL("claude-opus-4-6",               5,     0.5,    6.25,     25,       2.5,      12.5,  1000000),
    MODEL("claude-opus-4-7",               5,     0.5,    6.25,     25,       2.5,      12.5,  1000000),
    MODEL("claude-opus-4-8",               5,     0.5,    6.25,     25,       2.5,      12.5,  1000000),
    MODEL("claude-opus-5",                 5,     0.5,    6.25,     25,       2.5,      12.5,  1000000),
    MODEL("claude-opus-5-5",               4,     0.2,       5,     20,         2,        10,  1000000),
    MODEL("claude-sonnet-4-5",             3,     0.3,    3.75,     15,       1.5,       7.5,   200000),
    MODEL("claude-sonnet-4-6",             3,     0.3,    3.75,     15,       1.5,       7.5,  1000000),
    MODEL("claude-sonnet-5",               2,     0.2,     2.5,     10,         1,         5,  1000000),
    MODEL("claude-sonnet-5-5",             2,     0.1,     2.5,     10,         1,         5,  1000000),
    MODEL("gpt-3.5-turbo",               0.5,      -1,      -1,    1.5,      0.25,      0.75,    16385),
    MODEL("gpt-4",                        30,      -1,      -1,     60,        15,        30,     8192),
    MODEL("gpt-4-turbo",                  10,      -1,      -1,     30,         5,        15,   128000),
    RULED("gpt-4.1",                       2,     0.5,      -1,      8,         1,         4,  1047576, gpt_4_1),
    RULED("gpt-4.1-mini",                0.4,     0.1,      -1,    1.6,       0.2,       0.8,  1047576, gpt_4_1_mini),
    RULED("gpt-4.1-nano",                0.1,   0.025,      -1,    0.4,      0.05,       0.2,  1047576, gpt_4_1_nano),
    RULED("gpt-4o",                      2.5,    1.25,      -1,     10,      1.25,         5,   128000, gpt_4o),
    RULED("gpt-4o-2024-05-13",             5,      -1,      -1,     15,       2.5,       7.5,   128000, gpt_4o_2024_05_13),
    RULED("gpt-4o-mini",                0.15,   0.075,      -1,    0.6,     0.075,       0.3,   128000, gpt_4o_mini),
    RULED("gpt-5",                      1.25,   0.125,      -1,     10,     0.625,         5,   272000, gpt_5),
    MODEL("gpt-5-chat",                 1.25,   0.125,      -1,     10,     0.625,         5,   128000),
    MODEL("gpt-5-codex",                1.25,   0.125,      -1,     10,     0.625,         5,   272000),
    RULED("gpt-5-mini",                 0.25,   0.025,      -1,      2,     0.125,         1,   272000, gpt_5_mini),
    RULED("gpt-5-nano",                 0.05,   0.005,      -1,    0.4,     0.025,       0.2,   272000, gpt_5_nano),
    MODEL("gpt-5-pro",                    15,      -1,      -1,    120,       7.5,        60,   400000),
    RULED("gpt-5.1",                    1.25,   0.125,      -1,     10,     0.625,         5,   272000, gpt_5),
    MODEL("gpt-5.1-codex",              1.25,   0.125,      -1,     10,     0.625,         5,   400000),
    MODEL("gpt-5.1-codex-mini",         0.25,   0.025,      -1,      2,     0.125,         1,   400000),
    RULED("gpt-5.2",                    1.75,   0.175,      -1,     14,     0.875,         7,   272000, gpt_5_2),
    MODEL("gpt-5.2-codex",              1.75,   0.175,      -1,     14,     0.875,         7,   272000),
    MODEL("gpt-5.2-pro",                  21,      -1,      -1,    168,      10.5,        84,   272000),
    RULED("gpt-5.3-codex",              1.75,   0.175,      -1,     14,     0.875,         7,   272000, gpt_5_3_codex),
    RULED("gpt-5.4",                     2.5,    0.25,      -1,     15,      1.25,       7.5,  1050000, gpt_5_4),
    RULED("gpt-5.4-mini",               0.75,   0.075,      -1,    4.5,     0.375,      2.25,   272000, gpt_5_4_mini),
    RULED("gpt-5.4-nano",                0.2,    0.02,      -1,   1.25,       0.1,     0.625,   272000, gpt_5_4_nano),
    RULED("gpt-5.4-pro",                  30,      -1,      -1,    180,        15,        90,  1050000, gpt_5_4_pro),
    RULED("gpt-5.5",                       5,     0.5,      -1,     30,       2.5,        15,  1050000, gpt_5_5),
    RULED("gpt-5.5-pro",                  30,      -1,      -1,    180,        15,        90,  1050000, gpt_5_5_pro),
    RULED("gpt-5.6",                       4,     0.4,       5,     20,         2,        10,   922000, gpt_5_6),
    RULED("gpt-5.6-luna",                0.2,    0.02,    0.25,    1.2,       0.1,       0.6,   922000, gpt_5_6_luna),
    RULED("gpt-5.6-sol",                   4,     0.4,       5,     20,         2,        10,   922000, gpt_5_6),
    RULED("gpt-5.6-terra",                 2,     0.2,     2.5,     12,         1,         6,   922000, gpt_5_6_terra),
    RULED("gpt-6-astra",                  10,       1,    12.5,     50,         5,        25,   922000, gpt_6_astra),
    RULED("gpt-6-luna",                  0.1,    0.01,   0.125,    0.5,      0.05,      0.25,   922000, gpt_6_luna),
    RULED("gpt-6-sol",                     2,     0.2,     2.5,     10,         1,         5,   922000, gpt_6_sol),
    RULED("gpt-6.1-sol",                   2,     0.1,     2.5,     10,         1,         5,   922000, gpt_6_1_sol),
    RULED("gpt-6.1-terra",                 1,    0.05,    1.25,      5,       0.5,       2.5,   922000, gpt_6_1_terra),
    MODEL("o1",                           15,     7.5,      -1,     60,       7.5,        30,   200000),
    RULED("o3",                            2,     0.5,      -1,      8,         1,         4,   200000, o3),
    MODEL("o3-mini",                     1.1,    0.55,      -1,    4.4,      0.55,       2.2,   200000),
    MODEL("o3-pro",                       20,      -1,      -1,     80,        10,        40,   200000),
    RULED("o4-mini",                     1.1,   0.275,      -1,    4.4,      0.55,       2.2,   200000, o4_mini),
    MODEL("text-embedding-3-large",     0.13,      -1,      -1,      0,     0.065,         0,     8191),
    MODEL("text-embedding-3-small",     0.02,      -1,      -1,      0,      0.01,         0,     8191),
    MODEL("text-embedding-ada-002",      0.1,      -1,      -1,      0,      0.05,         0,     8191),
};
/* clang-format on */

const char rm_provider__prices_built_in_date[] = "2026-11-23";
const struct rm_prices rm_provider__prices_built_in = {entries, RM_COUNT(entries), NULL, NULL, NULL};
