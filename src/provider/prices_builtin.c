/* What OpenAI's and Anthropic's models cost where no cost map is configured: USD per million tokens.
 * From LiteLLM's cost map as published with its version 1.109.1, taken on the date below; standard tier, short
 * prompts. Sorted by name. A model's dated names are found through its undated one. */
#include "provider_internal.h"

/* -1: no such price. The compiler divides. */
#define USD(per_million) ((per_million) < 0 ? -1.0 : (per_million) / 1e6)
#define MODEL(name, input, cached, write, output, batch_input, batch_output, context)                      \
    {                                                                                                      \
        {name, sizeof(name) - 1},                                                                          \
        {                                                                                                  \
            USD(input), USD(cached), USD(write), USD(output), USD(batch_input), USD(batch_output), context \
        }                                                                                                  \
    }

/* clang-format off */
static const rm_provider__price_entry entries[] = {
    /*    name                       input   cached   write  output   batch in  batch out  context */
    MODEL("claude-fable-5",               10,       1,    12.5,     50,         5,        25,  1000000),
    MODEL("claude-fable-5-1",             10,    0.25,    12.5,     50,         5,        25,  1000000),
    MODEL("claude-haiku-4-5",              1,     0.1,    1.25,      5,       0.5,       2.5,   200000),
    MODEL("claude-haiku-5-5",            0.1,    0.01,   0.125,    0.5,      0.05,      0.25,  1000000),
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
    MODEL("gpt-4.1",                       2,     0.5,      -1,      8,         1,         4,  1047576),
    MODEL("gpt-4.1-mini",                0.4,     0.1,      -1,    1.6,       0.2,       0.8,  1047576),
    MODEL("gpt-4.1-nano",                0.1,   0.025,      -1,    0.4,      0.05,       0.2,  1047576),
    MODEL("gpt-4o",                      2.5,    1.25,      -1,     10,      1.25,         5,   128000),
    MODEL("gpt-4o-2024-05-13",             5,      -1,      -1,     15,       2.5,       7.5,   128000),
    MODEL("gpt-4o-mini",                0.15,   0.075,      -1,    0.6,     0.075,       0.3,   128000),
    MODEL("gpt-5",                      1.25,   0.125,      -1,     10,     0.625,         5,   272000),
    MODEL("gpt-5-chat",                 1.25,   0.125,      -1,     10,     0.625,         5,   128000),
    MODEL("gpt-5-codex",                1.25,   0.125,      -1,     10,     0.625,         5,   272000),
    MODEL("gpt-5-mini",                 0.25,   0.025,      -1,      2,     0.125,         1,   272000),
    MODEL("gpt-5-nano",                 0.05,   0.005,      -1,    0.4,     0.025,       0.2,   272000),
    MODEL("gpt-5-pro",                    15,      -1,      -1,    120,       7.5,        60,   400000),
    MODEL("gpt-5.1",                    1.25,   0.125,      -1,     10,     0.625,         5,   272000),
    MODEL("gpt-5.1-codex",              1.25,   0.125,      -1,     10,     0.625,         5,   400000),
    MODEL("gpt-5.1-codex-mini",         0.25,   0.025,      -1,      2,     0.125,         1,   400000),
    MODEL("gpt-5.2",                    1.75,   0.175,      -1,     14,     0.875,         7,   272000),
    MODEL("gpt-5.2-codex",              1.75,   0.175,      -1,     14,     0.875,         7,   272000),
    MODEL("gpt-5.2-pro",                  21,      -1,      -1,    168,      10.5,        84,   272000),
    MODEL("gpt-5.3-codex",              1.75,   0.175,      -1,     14,     0.875,         7,   272000),
    MODEL("gpt-5.4",                     2.5,    0.25,      -1,     15,      1.25,       7.5,  1050000),
    MODEL("gpt-5.4-mini",               0.75,   0.075,      -1,    4.5,     0.375,      2.25,   272000),
    MODEL("gpt-5.4-nano",                0.2,    0.02,      -1,   1.25,       0.1,     0.625,   272000),
    MODEL("gpt-5.4-pro",                  30,      -1,      -1,    180,        15,        90,  1050000),
    MODEL("gpt-5.5",                       5,     0.5,      -1,     30,       2.5,        15,  1050000),
    MODEL("gpt-5.5-pro",                  30,      -1,      -1,    180,        15,        90,  1050000),
    MODEL("gpt-5.6",                       4,     0.4,       5,     20,         2,        10,   922000),
    MODEL("gpt-5.6-luna",                0.2,    0.02,    0.25,    1.2,       0.1,       0.6,   922000),
    MODEL("gpt-5.6-sol",                   4,     0.4,       5,     20,         2,        10,   922000),
    MODEL("gpt-5.6-terra",                 2,     0.2,     2.5,     12,         1,         6,   922000),
    MODEL("gpt-6-astra",                  10,       1,    12.5,     50,         5,        25,   922000),
    MODEL("gpt-6-luna",                  0.1,    0.01,   0.125,    0.5,      0.05,      0.25,   922000),
    MODEL("gpt-6-sol",                     2,     0.2,     2.5,     10,         1,         5,   922000),
    MODEL("gpt-6.1-sol",                   2,     0.1,     2.5,     10,         1,         5,   922000),
    MODEL("gpt-6.1-terra",                 1,    0.05,    1.25,      5,       0.5,       2.5,   922000),
    MODEL("o1",                           15,     7.5,      -1,     60,       7.5,        30,   200000),
    MODEL("o3",                            2,     0.5,      -1,      8,         1,         4,   200000),
    MODEL("o3-mini",                     1.1,    0.55,      -1,    4.4,      0.55,       2.2,   200000),
    MODEL("o3-pro",                       20,      -1,      -1,     80,        10,        40,   200000),
    MODEL("o4-mini",                     1.1,   0.275,      -1,    4.4,      0.55,       2.2,   200000),
    MODEL("text-embedding-3-large",     0.13,      -1,      -1,      0,     0.065,         0,     8191),
    MODEL("text-embedding-3-small",     0.02,      -1,      -1,      0,      0.01,         0,     8191),
    MODEL("text-embedding-ada-002",      0.1,      -1,      -1,      0,      0.05,         0,     8191),
};
/* clang-format on */

const char rm_provider__prices_built_in_date[] = "2026-11-23";
const struct rm_prices rm_provider__prices_built_in = {entries, RM_COUNT(entries), NULL, NULL};
