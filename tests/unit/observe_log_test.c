/* The access log: its lines, rotation, and what happens when nobody takes them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "observe_internal.h"

static char folder[64], path[128], moved[160];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/remora-log-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/access.log", folder);
    snprintf(moved, sizeof(moved), "%s.1", path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    unlink(moved);
    return rmdir(folder);
}

static rm_receipt make_receipt(const char *id)
{
    return (rm_receipt){
        .id = rm_slice_cstr(id),
        .method = RM_SLICE("POST"),
        .path = RM_SLICE("/v1/chat/completions"),
        .op = RM_OP_CHAT,
        .outcome = RM_OUTCOME_HIT,
        .reason = RM_REASON_HIT,
        .status = 200,
        .stream = true,
        .tenant = RM_SLICE("anonymous"),
        .model = RM_SLICE("gpt\"4\n"),
        .requested_model = RM_SLICE("gpt"),
        .upstream = RM_SLICE("openai"),
        .usage = {12, 3, 0, 45, 0},
        .saved_usd = 0.00045,
        .request_bytes = 1000,
        .response_bytes = 2000,
        .total_ns = 1234567,
        .first_byte_ns = 34567,
        .tries = 0,
        .peer = RM_SLICE("127.0.0.1:5"),
    };
}

/* What the file holds, NUL-terminated; the caller frees. */
static char *read_file(const char *name)
{
    static char text[4 * RM_MIB];
    FILE *file = fopen(name, "rb");
    size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    text[len] = '\0';
    if (file)
        fclose(file);
    return text;
}

/* The log thread has its own pace; the test's time limit bounds this. */
static void wait_for(const char *name, const char *what)
{
    while (!strstr(read_file(name), what))
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; (text = strchr(text, '\n')); text++)
        lines++;
    return lines;
}

static uint64_t dropped(rm_observe *observe)
{
    rm_buf out;
    rm_buf_init(&out, RM_MIB);
    assert_int_equal(rm_observe_prometheus(observe, NULL, &out), RM_OK);
    assert_int_equal(rm_buf_append_char(&out, '\0'), RM_OK);
    static const char name[] = "\nremora_log_lines_dropped_total ", stage[] = "remora_faults_total{stage=\"log\"} ";
    uint64_t count = strtoull(strstr(out.ptr, name) + sizeof(name) - 1, NULL, 10);
    /* Between two looks the log thread may have dropped more. */
    assert_true(strtoull(strstr(out.ptr, stage) + sizeof(stage) - 1, NULL, 10) >= count);
    rm_buf_deinit(&out);
    return count;
}

static void test_seconds(void **state)
{
    (void)state;
    static const struct {
        uint64_t second;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00"},          {951782399, "2000-02-28T23:59:59"},    {951782400, "2000-02-29T00:00:00"},
        {951868800, "2000-03-01T00:00:00"},  {1709164800, "2024-02-29T00:00:00"},   {1735689599, "2024-12-31T23:59:59"},
        {4107542400, "2100-03-01T00:00:00"}, {253402300799, "9999-12-31T23:59:59"},
    };
    char text[20];
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_observe__format_second(cases[i].second, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_line(void **state)
{
    (void)state;
    rm_observe *observe;
    assert_int_equal(rm_observe_create(path, 1, &observe), RM_OK);
    rm_receipt receipt = make_receipt("id-1");
    rm_observer_settle(rm_observe_thread(observe, 0), &receipt, 951782399007);
    receipt = make_receipt("id-2");
    receipt.usage = RM_USAGE_UNKNOWN;
    receipt.cost_usd = receipt.saved_usd = -1;
    receipt.outcome = RM_OUTCOME_BYPASS;
    receipt.reason = RM_REASON_SAMPLED;
    receipt.name_space = RM_SLICE("ns");
    receipt.service_tier = RM_SLICE("flex");
    receipt.model = receipt.requested_model;
    receipt.prompt = RM_SLICE("say \"hi\"");
    receipt.answer = RM_SLICE("hi");
    rm_observer_settle(rm_observe_thread(observe, 0), &receipt, 951782400000);
    rm_observe_destroy(observe);
    assert_string_equal(
        read_file(path),
        "{\"ts\":\"2000-02-28T23:59:59.007Z\",\"id\":\"id-1\",\"tenant\":\"anonymous\",\"method\":\"POST\","
        "\"path\":\"/v1/chat/completions\",\"op\":\"chat\",\"model\":\"gpt\\\"4\\n\",\"requested_model\":\"gpt\","
        "\"upstream\":\"openai\",\"status\":200,\"outcome\":\"HIT\",\"reason\":\"hit\",\"stream\":true,"
        "\"failed\":false,\"input_tokens\":12,\"cached_input_tokens\":3,\"output_tokens\":45,\"cost_usd\":0,"
        "\"saved_usd\":0.00045,\"total_ms\":1.234,\"first_byte_ms\":0.034,\"upstream_ms\":0.000,\"tries\":0,"
        "\"request_bytes\":1000,\"response_bytes\":2000,\"peer\":\"127.0.0.1:5\"}\n"
        "{\"ts\":\"2000-02-29T00:00:00.000Z\",\"id\":\"id-2\",\"tenant\":\"anonymous\",\"namespace\":\"ns\","
        "\"method\":\"POST\",\"path\":\"/v1/chat/completions\",\"op\":\"chat\",\"model\":\"gpt\","
        "\"upstream\":\"openai\",\"service_tier\":\"flex\",\"status\":200,\"outcome\":\"BYPASS\","
        "\"reason\":\"sampled\",\"stream\":true,\"failed\":false,\"input_tokens\":null,\"cached_input_tokens\":0,"
        "\"output_tokens\":null,\"cost_usd\":null,\"saved_usd\":null,\"total_ms\":1.234,\"first_byte_ms\":0.034,"
        "\"upstream_ms\":0.000,\"tries\":0,\"request_bytes\":1000,\"response_bytes\":2000,"
        "\"peer\":\"127.0.0.1:5\",\"prompt\":\"say \\\"hi\\\"\",\"answer\":\"hi\"}\n");
}

/* A line that fills the buffer to its last byte is kept, one byte more is not. */
static void test_full_buffer(void **state)
{
    (void)state;
    rm_observe__lines lines = {.second = UINT64_MAX};
    rm_receipt receipt = make_receipt("id-1");
    bool urgent;
    pthread_mutex_init(&lines.lock, NULL);
    rm_buf_init(&lines.text, RM_LOG_BUFFER_BYTES_MAX);
    assert_true(rm_observe__log_line(&lines, &receipt, 0, &urgent));
    size_t line = lines.text.len;
    while (lines.text.len + line < RM_LOG_BUFFER_BYTES_MAX)
        assert_int_equal(rm_buf_append_char(&lines.text, '.'), RM_OK);
    assert_true(rm_observe__log_line(&lines, &receipt, 0, &urgent));
    assert_int_equal(lines.text.len, RM_LOG_BUFFER_BYTES_MAX);
    assert_int_equal(lines.text.ptr[lines.text.len - 1], '\n');
    lines.text.len -= line - 1;
    assert_false(rm_observe__log_line(&lines, &receipt, 0, &urgent));
    assert_int_equal(lines.text.len, RM_LOG_BUFFER_BYTES_MAX - line + 1);
    rm_buf_deinit(&lines.text);
    pthread_mutex_destroy(&lines.lock);
}

static void test_long_body_is_cut(void **state)
{
    (void)state;
    rm_observe *observe;
    size_t len = RM_LOG_BODY_BYTES_MAX + 10;
    char *body = malloc(len);
    memset(body, 'a', len);
    memcpy(body + RM_LOG_BODY_BYTES_MAX - 1, "\xc3\xa9", 2); /* astride the edge */
    assert_int_equal(rm_observe_create(path, 1, &observe), RM_OK);
    rm_receipt receipt = make_receipt("id-1");
    receipt.prompt = rm_slice_make(body, len);
    rm_observer_settle(rm_observe_thread(observe, 0), &receipt, 0);
    rm_observe_destroy(observe);
    const char *prompt = strstr(read_file(path), "\"prompt\":\"") + 10;
    assert_int_equal(strspn(prompt, "a"), RM_LOG_BODY_BYTES_MAX - 1);
    assert_int_equal(prompt[RM_LOG_BODY_BYTES_MAX - 1], '"');
    free(body);
}

static void test_reopen(void **state)
{
    (void)state;
    rm_observe *observe;
    assert_int_equal(rm_observe_create(path, 2, &observe), RM_OK);
    rm_receipt receipt = make_receipt("first");
    rm_observer_settle(rm_observe_thread(observe, 0), &receipt, 0);
    wait_for(path, "first");
    assert_int_equal(rename(path, moved), 0);
    receipt = make_receipt("second");
    rm_observer_settle(rm_observe_thread(observe, 1), &receipt, 0);
    wait_for(moved, "second");
    rm_observe_reopen(observe);
    while (access(path, F_OK) != 0)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    receipt = make_receipt("third");
    rm_observer_settle(rm_observe_thread(observe, 0), &receipt, 0);
    wait_for(path, "third");
    rm_observe_destroy(observe);
    assert_null(strstr(read_file(path), "second"));
    assert_int_equal(count_lines(read_file(moved)), 2);
}

/* The new file cannot be had: the old one goes on. */
static void test_reopen_fails(void **state)
{
    (void)state;
    rm_observe *observe;
    assert_int_equal(rm_observe_create(path, 1, &observe), RM_OK);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    rm_log_set_level((rm_log_level)-1);
    rm_observe_reopen(observe);
    rm_receipt receipt = make_receipt("kept");
    rm_observer_settle(rm_observe_thread(observe, 0), &receipt, 0);
    wait_for(moved, "kept");
    rm_observe_destroy(observe);
    rm_log_set_level(RM_LOG_INFO);
    assert_int_equal(rmdir(path), 0);
}

/* A FIFO whose reader does nothing: lines fill the buffer, the rest are counted, the shutdown comes through. */
static void test_stuck_pipe(void **state)
{
    (void)state;
    enum { LINES = 20000 };
    rm_observe *observe = NULL;
    assert_int_equal(mkfifo(path, 0600), 0);
    rm_log_set_level((rm_log_level)-1);
    assert_int_equal(rm_observe_create(path, 1, &observe), RM_EIO); /* no reader yet */
    assert_null(observe);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_int_equal(rm_observe_create(path, 1, &observe), RM_OK);
    rm_receipt receipt = make_receipt("id");
    for (int i = 0; i < LINES; i++)
        rm_observer_settle(rm_observe_thread(observe, 0), &receipt, 0);
    uint64_t lost = dropped(observe);
    assert_true(lost > 0 && lost < LINES);
    rm_observe_destroy(observe);
    rm_log_set_level(RM_LOG_INFO);
    close(reader);
}

/* Standard output that is a blocking pipe: the thread sits inside write itself. */
static void test_stuck_stdout(void **state)
{
    (void)state;
    rm_observe *observe;
    int ends[2], saved = dup(STDOUT_FILENO);
    fflush(stdout);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDOUT_FILENO);
    rm_status status = rm_observe_create("stdout", 1, &observe);
    rm_receipt receipt = make_receipt("id");
    for (int i = 0; status == RM_OK && i < 5000; i++)
        rm_observer_settle(rm_observe_thread(observe, 0), &receipt, 0);
    rm_log_set_level((rm_log_level)-1);
    rm_observe_destroy(observe);
    rm_log_set_level(RM_LOG_INFO);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(ends[1]);
    assert_int_equal(status, RM_OK);
    char head[8];
    assert_int_equal(read(ends[0], head, 6), 6);
    assert_memory_equal(head, "{\"ts\":", 6);
    close(ends[0]);
}

static void test_burst(void **state)
{
    (void)state;
    enum { LINES = 30000 };
    rm_observe *observe;
    assert_int_equal(rm_observe_create(path, 1, &observe), RM_OK);
    rm_receipt receipt = make_receipt("id");
    for (int i = 0; i < LINES; i++)
        rm_observer_settle(rm_observe_thread(observe, 0), &receipt, 0);
    uint64_t lost = dropped(observe);
    rm_observe_destroy(observe);
    FILE *file = fopen(path, "rb");
    uint64_t lines = 0;
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    assert_int_equal(lines + lost, LINES);
}

#ifdef REMORA_FAULTS
static void test_write_fault(void **state)
{
    (void)state;
    rm_observe *observe;
    rm_log_set_level((rm_log_level)-1);
    assert_int_equal(rm_observe_create(path, 1, &observe), RM_OK);
    rm_fault_set(RM_FAULT_LOG_WRITE, 1, true);
    rm_receipt receipt = make_receipt("lost");
    rm_observer_settle(rm_observe_thread(observe, 0), &receipt, 0);
    while (dropped(observe) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    rm_fault_set(RM_FAULT_LOG_WRITE, 0, false);
    receipt = make_receipt("kept");
    rm_observer_settle(rm_observe_thread(observe, 0), &receipt, 0);
    wait_for(path, "kept");
    assert_int_equal(dropped(observe), 1);
    rm_observe_destroy(observe);
    rm_log_set_level(RM_LOG_INFO);
    assert_null(strstr(read_file(path), "lost"));
}

static void test_memory(void **state)
{
    (void)state;
    rm_status status = RM_ENOMEM;
    rm_observe *observe = NULL;
    for (uint64_t nth = 1; status != RM_OK; nth++) {
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        status = rm_observe_create(path, 1, &observe);
    }
    rm_fault_set(RM_FAULT_ALLOC, 1, false);
    rm_receipt receipt = make_receipt("lost");
    rm_observer_settle(rm_observe_thread(observe, 0), &receipt, 0);
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
    assert_int_equal(dropped(observe), 1);
    receipt = make_receipt("kept");
    rm_observer_settle(rm_observe_thread(observe, 0), &receipt, 0);
    rm_observe_destroy(observe);
    assert_int_equal(count_lines(read_file(path)), 1);
}
#endif

#define LOG_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seconds),
        LOG_TEST(test_line),
        cmocka_unit_test(test_full_buffer),
        LOG_TEST(test_long_body_is_cut),
        LOG_TEST(test_reopen),
        LOG_TEST(test_reopen_fails),
        LOG_TEST(test_stuck_pipe),
        cmocka_unit_test(test_stuck_stdout),
        LOG_TEST(test_burst),
#ifdef REMORA_FAULTS
        LOG_TEST(test_write_fault),
        LOG_TEST(test_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
