"""Operations of a plugin that return every kind of content: pictures, sounds, documents, prompts, progress."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence

import msgspec

from memhost import hookimpl
from memhost.errors import InvalidRequest
from memhost.operations import Nothing, Operation
from memhost.operations.content import Audio, Content, Document, Image, Prompt, PromptPart, Text

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)
WAV = b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00@\x1f\x00\x00@\x1f\x00\x00\x01\x00\x08\x00data\x00\x00\x00\x00"


class address(msgspec.Struct):
    """A struct inside a request."""

    street: str = ""
    city: str = ""


class Person(msgspec.Struct, kw_only=True):
    name: str = ""
    address: address | None = None


class Greeted(msgspec.Struct):
    greeting: str


class Two(msgspec.Struct, kw_only=True):
    arg1: str
    arg2: str


class Uri(msgspec.Struct, kw_only=True, rename="camel"):
    resource_uri: str


class Id(msgspec.Struct, kw_only=True):
    id: str


async def simple_text(host, call, request):
    return Content([Text("This is a simple text response for testing.")])


async def image(host, call, request):
    return Content([Image(PNG, "image/png")])


async def audio(host, call, request):
    return Content([Audio(WAV, "audio/wav")])


async def embedded(host, call, request):
    return Content([Document(uri="test://embedded-resource", text="This is an embedded resource content.")])


async def mixed(host, call, request):
    data = Document(
        uri="test://mixed-content-resource", media_type="application/json", text='{"test":"data","value":123}'
    )
    return Content([Text("Multiple content types test:"), Image(PNG, "image/png"), data])


async def fail(host, call, request):
    raise InvalidRequest("This tool intentionally returns an error for testing")


async def progress(host, call, request):
    for done in (0, 50, 100):
        await call.progress(done, 100, "working")
        await asyncio.sleep(0.01)
    return Content([Text("Done.")])


async def greet(host, call, request):
    return Greeted(f"Hello {request.name}")


async def static_text(host, call, request):
    return Document(uri="", text="This is the content of the static text resource.")


async def static_binary(host, call, request):
    return Document(uri="", media_type="image/png", data=PNG)


async def template(host, call, request):
    data = {"id": request.id, "templateTest": True, "data": f"Data for ID: {request.id}"}
    return Document(uri="", media_type="application/json", text=msgspec.json.encode(data).decode())


async def simple_prompt(host, call, request):
    return Prompt([PromptPart("user", Text("This is a simple prompt for testing."))])


async def prompt_with_arguments(host, call, request):
    return Prompt([PromptPart("user", Text(f"Prompt with arguments: arg1='{request.arg1}', arg2='{request.arg2}'"))])


async def prompt_with_resource(host, call, request):
    document = Document(uri=request.resource_uri, text="Embedded resource content for testing.")
    return Prompt(
        [PromptPart("user", document), PromptPart("user", Text("Please process the embedded resource above."))]
    )


async def prompt_with_image(host, call, request):
    return Prompt(
        [PromptPart("user", Image(PNG, "image/png")), PromptPart("user", Text("Please analyze the image above."))]
    )


def _operation(name, handler, *, request=Nothing, response=Content, kind="call", address=""):
    return Operation(
        name=name,
        request=request,
        response=response,
        handler=handler,
        summary=f"Fixture {name}.",
        access="read",
        tag="Fixtures",
        kind=kind,
        address=address,
    )


@hookimpl
def memhost_operations() -> Sequence[Operation]:
    return [
        _operation("test_simple_text", simple_text),
        _operation("test_image_content", image),
        _operation("test_audio_content", audio),
        _operation("test_embedded_resource", embedded),
        _operation("test_multiple_content_types", mixed),
        _operation("test_error_handling", fail),
        _operation("test_tool_with_progress", progress),
        _operation("json_schema_2020_12_tool", greet, request=Person, response=Greeted),
        _operation("static_text", static_text, response=Document, kind="document", address="test://static-text"),
        _operation("static_binary", static_binary, response=Document, kind="document", address="test://static-binary"),
        _operation(
            "template", template, request=Id, response=Document, kind="document", address="test://template/{id}/data"
        ),
        _operation("test_simple_prompt", simple_prompt, response=Prompt, kind="prompt"),
        _operation("test_prompt_with_arguments", prompt_with_arguments, request=Two, response=Prompt, kind="prompt"),
        _operation(
            "test_prompt_with_embedded_resource", prompt_with_resource, request=Uri, response=Prompt, kind="prompt"
        ),
        _operation("test_prompt_with_image", prompt_with_image, response=Prompt, kind="prompt"),
    ]
