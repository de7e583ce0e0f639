/* A loop's client: its life, its work list, and the way into curl. */
#include "upstream_internal.h"

#include <pthread.h>
#include <stdlib.h>

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_code;

static void global_init(void)
{
    /* Not through rm_alloc: after an allocation that fails in singlesocket() curl 7.88 keeps a hash without slots and
     * divides by zero at the next insertion, so a fault injected there would test curl and not us. */
    global_code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- the work list ---------------------------------------------------------------------------------------------- */

static void cut_now(rm_upstream_call *call)
{
    call->work &= ~(unsigned)RM_UPSTREAM__WORK_CUT;
    call->client->cuts--;
    rm_upstream__call_remove(call);
}

/* Cancelled from inside curl: the wire is cut as soon as curl is left, not at the next turn. */
static void cut_pending(rm_upstream_client *client)
{
    for (rm_link *link = client->work.next; client->cuts > 0 && link != &client->work; link = link->next) {
        rm_upstream_call *call = RM_CONTAINER_OF(link, rm_upstream_call, work_link);
        if (call->work & RM_UPSTREAM__WORK_CUT)
            cut_now(call);
    }
}

static void reap(rm_upstream_client *client)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        CURLcode code = message->data.result;
        char *user = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);
        rm_upstream_call *call = (rm_upstream_call *)(void *)user;
        int fd = call->connecting && code == CURLE_OK ? rm_upstream__direct_take(call) : -1;
        rm_upstream__call_remove(call);
        if (call->connecting)
            rm_upstream__direct_connected(call, fd, code);
        else
            rm_upstream__call_settle(call, code);
    }
}

void rm_upstream__enter(rm_upstream_client *client)
{
    client->in_curl++;
}

void rm_upstream__leave(rm_upstream_client *client)
{
    client->in_curl--;
    cut_pending(client);
}

void rm_upstream__act(rm_upstream_client *client, curl_socket_t fd, int events)
{
    int running;

    rm_upstream__enter(client);
    CURLMcode code = curl_multi_socket_action(client->multi, fd, events, &running);
    rm_upstream__leave(client);
    if (code != CURLM_OK)
        rm_log_limited(RM_LOG_ERROR, "upstream", "curl: %s", curl_multi_strerror(code));
    reap(client);
}

static void do_work(rm_upstream_client *client)
{
    rm_link todo;

    if (rm_list_empty(&client->work))
        return;
    /* What is put on the list meanwhile waits for the next kick. */
    todo = client->work;
    todo.next->prev = todo.prev->next = &todo;
    rm_list_init(&client->work);
    while (!rm_list_empty(&todo)) {
        rm_upstream_call *call = RM_CONTAINER_OF(todo.next, rm_upstream_call, work_link);
        unsigned work = call->work;
        rm_list_remove(&call->work_link);
        call->work &= RM_UPSTREAM__WORK_CUT;
        if (work & RM_UPSTREAM__WORK_CUT)
            cut_now(call);
        if (work & RM_UPSTREAM__WORK_DONE)
            rm_upstream__call_finish(call, RM_ECANCELLED, "cancelled");
        else if (work & RM_UPSTREAM__WORK_ADD)
            rm_upstream__call_add(call);
        else if (work & RM_UPSTREAM__WORK_WAKE)
            rm_upstream__call_wake(call);
    }
}

static void tear_down(rm_upstream_client *client);

static void on_kick(rm_task *task)
{
    rm_upstream_client *client = RM_CONTAINER_OF(task, rm_upstream_client, kick);

    client->kicked = false;
    do_work(client);
    if (client->curl_due_now) {
        client->curl_due_now = false;
        rm_upstream__act(client, CURL_SOCKET_TIMEOUT, 0);
    }
    if (client->closing && client->stats.active == 0 && !client->kicked)
        tear_down(client);
}

void rm_upstream__kick(rm_upstream_client *client)
{
    if (client->kicked || client->torn_down)
        return;
    client->kicked = true;
    client->kick.run = on_kick;
    rm_exec_post(client->exec, &client->kick);
}

void rm_upstream__work(rm_upstream_call *call, unsigned what)
{
    rm_upstream_client *client = call->client;

    if ((what & ~call->work) & RM_UPSTREAM__WORK_CUT)
        client->cuts++;
    call->work |= what;
    if (!rm_link_linked(&call->work_link))
        rm_list_append(&client->work, &call->work_link);
    rm_upstream__kick(client);
}

/* ---- life ---------------------------------------------------------------------------------------------------------
 */

static void free_memory(rm_upstream_client *client)
{
    rm_free(client->socks);
    rm_free(client->in);
    rm_buf_deinit(&client->out);
    rm_free(client->ca_file);
    rm_free(client->proxy);
    rm_free(client);
}

/* Everything of curl's is gone before the last handle is: polls close after the multi handle that used them. */
void rm_upstream__handle_closed(rm_upstream_client *client)
{
    if (--client->handles_open > 0 || !client->torn_down)
        return;
    void (*on_closed)(void *) = client->on_closed;
    void *user = client->closed_user;
    free_memory(client);
    if (on_closed)
        on_closed(user);
}

static void on_timer_closed(uv_handle_t *handle)
{
    rm_upstream__handle_closed(handle->data);
}

static void free_curl(rm_upstream_client *client)
{
    while (!rm_list_empty(&client->spare)) {
        rm_upstream_call *call = RM_CONTAINER_OF(client->spare.next, rm_upstream_call, link);
        rm_list_remove(&call->link);
        rm_upstream__call_free(call);
    }
    if (client->multi)
        curl_multi_cleanup(client->multi);
    if (client->share)
        curl_share_cleanup(client->share);
}

static void tear_down(rm_upstream_client *client)
{
    client->torn_down = true;
    free_curl(client);
    rm_upstream__direct_deinit(client);
    rm_upstream__sockets_deinit(client);
    uv_close((uv_handle_t *)&client->curl_timer, on_timer_closed);
}

static rm_status make_curl(rm_upstream_client *client)
{
    client->multi = curl_multi_init();
    client->share = curl_share_init();
    if (!client->multi || !client->share)
        return RM_ENOMEM;
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)RM_UPSTREAM_CONNECTIONS_MAX);
    curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    /* One handle's TLS session serves the next handle's connection. One thread: no lock functions are needed. */
    if (curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK)
        return RM_ENOMEM;
    return rm_upstream__sockets_init(client);
}

/* curl asks the environment for a proxy at every request; where there is none it need not look. */
static const char *proxy_of_environment(void)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};

    for (size_t i = 0; i < RM_COUNT(names); i++) {
        const char *value = getenv(names[i]);
        if (value && value[0])
            return NULL;
    }
    return "";
}

static rm_status copy_options(rm_upstream_client *client, const rm_upstream_client_options *options)
{
    const char *proxy = options->proxy ? options->proxy : proxy_of_environment();

    client->tls_verify = options->tls_verify;
    client->http2 = options->http2;
    client->curl_only = options->curl_only;
    client->budget.share = options->retry_budget;
    client->budget.always = options->retry_budget_min;
    rm_rng_seed(&client->rng, options->rng_seed);
    if (options->ca_file && !(client->ca_file = rm_strdup(options->ca_file)))
        return RM_ENOMEM;
    if (proxy && !(client->proxy = rm_strdup(proxy)))
        return RM_ENOMEM;
    return RM_OK;
}

rm_status rm_upstream_client_create(rm_loop *loop, const rm_upstream_client_options *options,
                                    rm_upstream_client **ret_client)
{
    rm_status status = RM_ENOMEM;

    pthread_once(&global_once, global_init);
    if (global_code != CURLE_OK)
        return RM_EIO;
    rm_upstream_client *client = rm_calloc(1, sizeof(*client));
    if (!client)
        return RM_ENOMEM;
    client->uv = rm_loop_uv(loop);
    client->exec = rm_loop_exec(loop);
    client->codings = rm_upstream__codings();
    rm_list_init(&client->calls);
    rm_list_init(&client->work);
    rm_list_init(&client->spare);
    rm_buf_init(&client->out, RM_UPSTREAM__REQUEST_HEAD_BYTES_MAX);
    client->in = rm_alloc(RM_UPSTREAM__WIRE_BYTES);
    if (!client->in || (status = copy_options(client, options)) != RM_OK || (status = make_curl(client)) != RM_OK)
        goto failed;
    uv_timer_init(client->uv, &client->curl_timer);
    client->curl_timer.data = client;
    client->handles_open = 1;
    *ret_client = client;
    return RM_OK;

failed:
    free_curl(client);
    free_memory(client);
    return status;
}

void rm_upstream_client_close(rm_upstream_client *client, void (*on_closed)(void *user), void *user)
{
    if (client->closing)
        return;
    client->closing = true;
    client->on_closed = on_closed;
    client->closed_user = user;
    for (rm_link *link = client->calls.next; link != &client->calls; link = link->next)
        rm_upstream_cancel(RM_CONTAINER_OF(link, rm_upstream_call, link));
    rm_upstream__kick(client);
}

unsigned rm_upstream_client_active(const rm_upstream_client *client)
{
    return client->stats.active;
}

rm_upstream_stats rm_upstream_client_stats(const rm_upstream_client *client)
{
    return client->stats;
}
