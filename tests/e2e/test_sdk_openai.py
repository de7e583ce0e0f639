"""The real openai SDK against remora-bench mock through Remora."""
import httpx
import openai
import pytest

from asking import MODEL
from programs import eventually


@pytest.fixture
def remora(start, mock):
    return start(mock.url)


@pytest.fixture
def sdk(remora):
    return openai.OpenAI(base_url=remora.base, api_key="sk-sdk", max_retries=0, timeout=60)


def messages(text):
    return [{"role": "user", "content": text}]


TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather of a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]


def raw_hit(call):
    return eventually(lambda: (answer := call()).headers["x-remora-cache"] == "HIT" and answer)


def test_chat(sdk):
    first = sdk.chat.completions.create(model=MODEL, messages=messages("hello"))
    assert first.choices[0].message.content and first.usage.total_tokens > 0
    hit = raw_hit(lambda: sdk.chat.completions.with_raw_response.create(model=MODEL, messages=messages("hello")))
    assert hit.headers["x-remora-cache-kind"] == "exact"
    assert hit.parse() == first


def test_chat_stream_then_hit_in_both_forms(sdk):
    def stream():
        return list(sdk.chat.completions.create(model=MODEL, messages=messages("stream"), stream=True))
    chunks = stream()
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert text and chunks[-1].choices[0].finish_reason == "stop"
    hit = raw_hit(lambda: sdk.chat.completions.with_raw_response.create(model=MODEL, messages=messages("stream")))
    assert hit.parse().choices[0].message.content == text
    again = stream()
    assert "".join(c.choices[0].delta.content or "" for c in again) == text
    assert [len(c.choices) for c in again] == [len(c.choices) for c in chunks]


def test_stream_with_usage(sdk):
    for _ in range(2):
        chunks = list(sdk.chat.completions.create(model=MODEL, messages=messages("usage"), stream=True,
                                                  stream_options={"include_usage": True}))
        assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0


def test_tools(sdk):
    first = sdk.chat.completions.create(model=MODEL, messages=messages("weather in Kiel?"), tools=TOOLS, tool_choice="required")
    call = first.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather" and first.choices[0].finish_reason == "tool_calls"
    hit = raw_hit(lambda: sdk.chat.completions.with_raw_response.create(
        model=MODEL, messages=messages("weather in Kiel?"), tools=TOOLS, tool_choice="required"))
    assert hit.parse().choices[0].message.tool_calls[0] == call
    with sdk.chat.completions.stream(model=MODEL, messages=messages("weather in Kiel?"), tools=TOOLS,
                                     tool_choice="required") as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.arguments == call.function.arguments


def test_completions(sdk):
    assert sdk.completions.create(model=MODEL, prompt="once").choices[0].text
    assert "".join(c.choices[0].text for c in sdk.completions.create(model=MODEL, prompt="twice", stream=True))


def test_embeddings_as_floats_and_base64(sdk):
    plain = sdk.embeddings.create(model="text-embedding-3-small", input=["a", "b"], encoding_format="float")
    packed = sdk.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    assert len(plain.data) == len(packed.data) == 2
    assert plain.data[0].embedding == pytest.approx(packed.data[0].embedding, abs=1e-6)


def test_responses(sdk):
    first = sdk.responses.create(model=MODEL, input="hello", store=False)
    assert first.output_text and first.status == "completed"
    hit = raw_hit(lambda: sdk.responses.with_raw_response.create(model=MODEL, input="hello", store=False))
    assert hit.parse().output_text == first.output_text
    with sdk.responses.stream(model=MODEL, input="hello", store=False) as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_text == first.output_text
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"


def test_models(sdk):
    assert [m.id for m in sdk.models.list()]


def test_errors_have_the_sdks_own_classes(sdk):
    with pytest.raises(openai.BadRequestError):
        sdk.chat.completions.create(model=MODEL, messages=messages("x"), extra_headers={"x-remora-cache": "perhaps"})
    with pytest.raises(openai.APIStatusError) as raised:
        sdk.chat.completions.create(model=MODEL, messages=messages("nowhere"), extra_headers={"x-remora-cache": "only-if-cached"})
    assert raised.value.status_code == 504


def test_a_stream_that_is_closed_early(sdk, remora):
    stream = sdk.chat.completions.create(model=MODEL, messages=messages("leave early " * 50), stream=True)
    next(iter(stream))
    stream.close()
    assert httpx.get(remora.admin + "/healthz").status_code == 200


def test_async_and_many(remora):
    import asyncio

    async def many():
        async with openai.AsyncOpenAI(base_url=remora.base, api_key="sk-many", timeout=60) as sdk:
            return await asyncio.gather(*(sdk.chat.completions.create(model=MODEL, messages=messages(f"q{n % 10}"))
                                          for n in range(60)))
    answers = asyncio.run(many())
    assert len({a.choices[0].message.content for a in answers}) <= 10
    asked = eventually(lambda: remora.metric("remora_requests_total"))
    assert asked >= 60
