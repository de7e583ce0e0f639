"""The real anthropic SDK against remora-bench mock through Remora."""
import anthropic
import pytest

from programs import eventually

CLAUDE = "claude-sonnet-4-5"
TOOLS = [{"name": "get_weather", "description": "Weather of a city", "input_schema": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}]


@pytest.fixture
def remora(start, mock):
    return start(mock.url, upstreams=[{"name": "up", "dialect": "anthropic", "base_url": mock.url + "/v1"}])


@pytest.fixture
def sdk(remora):
    return anthropic.Anthropic(base_url=remora.url, api_key="sk-ant-sdk", max_retries=0, timeout=60)


def ask(sdk, text, **more):
    return sdk.messages.create(model=CLAUDE, max_tokens=200, messages=[{"role": "user", "content": text}], **more)


def hit(sdk, text, **more):
    def once():
        answer = sdk.messages.with_raw_response.create(
            model=CLAUDE, max_tokens=200, messages=[{"role": "user", "content": text}], **more)
        return answer if answer.headers["x-remora-cache"] == "HIT" else None
    return eventually(once)


def test_message(sdk):
    first = ask(sdk, "hello")
    assert first.content[0].text and first.stop_reason == "end_turn" and first.usage.output_tokens > 0
    again = hit(sdk, "hello").parse()
    assert again.content == first.content and again.usage == first.usage


def test_stream_and_both_forms_from_one_entry(sdk):
    with sdk.messages.stream(model=CLAUDE, max_tokens=200, messages=[{"role": "user", "content": "stream"}]) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text and final.stop_reason == "end_turn"
    again = hit(sdk, "stream").parse()
    assert again.content[0].text == text
    with sdk.messages.stream(model=CLAUDE, max_tokens=200, messages=[{"role": "user", "content": "stream"}]) as stream:
        assert "".join(stream.text_stream) == text


def test_a_body_replayed_as_a_stream(sdk):
    first = ask(sdk, "body first")
    hit(sdk, "body first")
    with sdk.messages.stream(model=CLAUDE, max_tokens=200, messages=[{"role": "user", "content": "body first"}]) as stream:
        assert stream.get_final_message().content[0].text == first.content[0].text


def test_tools(sdk):
    first = ask(sdk, "weather in Kiel?", tools=TOOLS, tool_choice={"type": "any"})
    use = next(block for block in first.content if block.type == "tool_use")
    assert use.name == "get_weather" and first.stop_reason == "tool_use"
    again = hit(sdk, "weather in Kiel?", tools=TOOLS, tool_choice={"type": "any"}).parse()
    assert next(block for block in again.content if block.type == "tool_use").input == use.input


def test_errors_have_the_sdks_own_classes(sdk):
    with pytest.raises(anthropic.BadRequestError):
        ask(sdk, "x", extra_headers={"x-remora-cache": "perhaps"})
