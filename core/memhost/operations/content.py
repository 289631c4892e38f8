"""Answers that are more than data: texts, pictures, sounds and documents for people and models.

An operation whose response is `Content` or `Prompt` gives interfaces parts to show instead of fields to read.
"""

from typing import Literal

import msgspec


class Text(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """Plain text."""

    text: str


class Image(msgspec.Struct, frozen=True, tag_field="type", tag="image"):
    """A picture; `media_type` as in `image/png`."""

    data: bytes
    media_type: str


class Audio(msgspec.Struct, frozen=True, tag_field="type", tag="audio"):
    """A sound; `media_type` as in `audio/wav`."""

    data: bytes
    media_type: str


class Document(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="document"):
    """A document with its address: `text`, or `data` where it is not text."""

    uri: str
    media_type: str = "text/plain"
    text: str | None = None
    data: bytes | None = None


Part = Text | Image | Audio | Document


class Content(msgspec.Struct, frozen=True):
    """An answer to be shown, part by part."""

    parts: list[Part]


class PromptPart(msgspec.Struct, frozen=True):
    """One message of a prompt."""

    role: Literal["user", "assistant"]
    content: Part


class Prompt(msgspec.Struct, frozen=True):
    """Messages to begin a conversation with."""

    messages: list[PromptPart]
