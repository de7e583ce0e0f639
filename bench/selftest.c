/* remora-bench selftest: what can be checked of this program without a network. */
#include <math.h>

#include "bench_internal.h"

static unsigned failures;

#define EXPECT(cond) expect((cond), #cond, __LINE__)
static void expect(bool holds, const char *cond, int line)
{
    if (holds)
        return;
    failures++;
    printf("not so, line %d: %s\n", line, cond);
}

static void test_zipf(void)
{
    enum { RANKS = 100, DRAWS = 200000 };
    rm_bench_zipf zipf;
    rm_rng rng;
    unsigned counts[RANKS] = {0};
    rm_rng_seed(&rng, 7);
    if (rm_bench__zipf_init(&zipf, RANKS, 1.0) != RM_OK)
        return;
    for (int i = 0; i < DRAWS; i++)
        counts[rm_bench__zipf_next(&zipf, &rng)]++;
    rm_bench__zipf_deinit(&zipf);
    double harmonic = 0;
    for (int i = 1; i <= RANKS; i++)
        harmonic += 1.0 / i;
    for (int rank = 0; rank < 10; rank++) {
        double expected = DRAWS / harmonic / (rank + 1);
        EXPECT(fabs(counts[rank] - expected) < 6 * sqrt(expected));
    }
    EXPECT(counts[RANKS - 1] > 0);
    if (rm_bench__zipf_init(&zipf, 2, 0) != RM_OK)
        return;
    EXPECT(fabs(zipf.cumulative[0] - 0.5) < 1e-12);
    rm_bench__zipf_deinit(&zipf);
}

static void test_schedule(void)
{
    enum { ARRIVALS = 100000 };
    rm_bench_schedule schedule;
    rm_rng rng;
    rm_rng_seed(&rng, 3);
    rm_bench__schedule_init(&schedule, RM_ARRIVAL_CONSTANT, 3000, 1000000000);
    for (int i = 0; i < ARRIVALS; i++)
        rm_bench__schedule_advance(&schedule, &rng);
    double seconds = (double)(rm_bench__schedule_due(&schedule) - 1000000000) / 1e9;
    EXPECT(fabs(seconds - ARRIVALS / 3000.0) < 1e-3);
    rm_bench__schedule_init(&schedule, RM_ARRIVAL_POISSON, 1000, 0);
    double sum = 0, squares = 0;
    for (int i = 0; i < ARRIVALS; i++) {
        double before = schedule.next_ns;
        rm_bench__schedule_advance(&schedule, &rng);
        double gap = (schedule.next_ns - before) / 1e6;
        sum += gap;
        squares += gap * gap;
    }
    double mean = sum / ARRIVALS;
    EXPECT(fabs(mean - 1) < 0.03);
    EXPECT(fabs(squares / ARRIVALS - mean * mean - 1) < 0.06); /* an exponential's variance is its mean squared */
}

static void test_prompts(void)
{
    rm_bench_prompts prompts;
    if (rm_bench__prompts_load(NULL, &prompts) != RM_OK) {
        EXPECT(false);
        return;
    }
    EXPECT(prompts.group_count == RM_BENCH_BUILT_IN_GROUPS);
    EXPECT(prompts.text_count >= 200);
    for (size_t group = 0; group < prompts.group_count; group++)
        EXPECT(prompts.groups[group].count >= 3);
    for (size_t i = 0; i < prompts.text_count; i++)
        for (size_t j = 0; j < i; j++)
            EXPECT(!rm_slice_eq(prompts.texts[i], prompts.texts[j]));
    rm_bench__prompts_deinit(&prompts);
}

static void test_mix(void)
{
    enum { DRAWS = 20000 };
    rm_bench_prompts prompts;
    if (rm_bench__prompts_load(NULL, &prompts) != RM_OK)
        return;
    rm_bench_mix mix = {.repeat_share = 0.7, .paraphrase_share = 0.5, .stream_share = 0.25, .cancel_share = 0.1};
    EXPECT(rm_bench__mix_init(&mix, &prompts, 1, 5) == RM_OK);
    unsigned numbered = 0, streams = 0, cancels = 0;
    for (int i = 0; i < DRAWS; i++) {
        rm_bench_choice choice = rm_bench__mix_next(&mix);
        EXPECT(choice.text < prompts.text_count);
        numbered += choice.numbered;
        streams += choice.stream;
        cancels += choice.cancel;
    }
    EXPECT(fabs(numbered / (double)DRAWS - 0.3) < 0.02);
    EXPECT(fabs(streams / (double)DRAWS - 0.25) < 0.02);
    EXPECT(fabs(cancels / (double)DRAWS - 0.1) < 0.02);
    rm_bench__mix_deinit(&mix);
    mix = (rm_bench_mix){.keys = 10, .sequential = true};
    EXPECT(rm_bench__mix_init(&mix, &prompts, 1, 5) == RM_OK);
    for (uint64_t i = 0; i < 25; i++)
        EXPECT(rm_bench__mix_next(&mix).number == i % 10);
    rm_bench__mix_deinit(&mix);
    rm_bench__prompts_deinit(&prompts);
}

static void test_encoders(void)
{
    rm_buf out;
    rm_buf_init(&out, 4096);
    char digits[RM_BENCH_NUMBER_BYTES];
    rm_bench__hex16(0x0123456789abcdefULL, digits);
    EXPECT(memcmp(digits, "0123456789abcdef", sizeof(digits)) == 0);
    rm_bench__gzip_begin(&out);
    rm_bench__gzip_block(&out, RM_SLICE("123456789"));
    rm_bench__gzip_end(&out, RM_SLICE("123456789"));
    static const unsigned char tail[] = {1, 0, 0, 0xff, 0xff, 0x26, 0x39, 0xf4, 0xcb, 9, 0, 0, 0};
    EXPECT(out.len == 10 + 5 + 9 + sizeof(tail)); /* the CRC-32 check value of "123456789" is cbf43926 */
    EXPECT(out.len > sizeof(tail) && memcmp(out.ptr + out.len - sizeof(tail), tail, sizeof(tail)) == 0);
    rm_buf_deinit(&out);
}

static void test_sha256(void)
{
    /* FIPS 180-4's examples, whole and in pieces. */
    static const char text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    static const char expected[] = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
    char got[RM_BENCH_SHA256_TEXT];
    rm_bench_sha256 hash;
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        rm_bench__sha256_init(&hash);
        for (size_t at = 0; at < sizeof(text) - 1; at += piece) {
            size_t left = sizeof(text) - 1 - at;
            rm_bench__sha256_update(&hash, rm_slice_make(text + at, left < piece ? left : piece));
        }
        rm_bench__sha256_final(&hash, got);
        EXPECT(strcmp(got, expected) == 0);
    }
    rm_bench__sha256_init(&hash);
    rm_bench__sha256_final(&hash, got);
    EXPECT(strcmp(got, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") == 0);
}

int rm_bench_selftest(int argc, char **argv)
{
    int code = rm_bench__options_parse("remora-bench selftest", NULL, 0, argc, argv);
    if (code >= 0)
        return code;
    test_zipf();
    test_schedule();
    test_prompts();
    test_mix();
    test_encoders();
    test_sha256();
    if (failures > 0)
        printf("selftest: %u failed\n", failures);
    else
        printf("selftest: all well\n");
    return failures ? 1 : 0;
}
