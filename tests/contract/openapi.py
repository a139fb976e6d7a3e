"""Requests and replies held against an OpenAPI 2.0 document."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import jsonschema
import yaml

# X-Is-Resource-Name goes to every path of a project, also where the file has it for some only.
_HEADERS_FOR_ALL = frozenset({"x-is-resource-name", "x-request-id"})
_OF_HTTP = frozenset(
    {"host", "accept", "accept-encoding", "connection", "user-agent", "content-length",
     "content-type", "authorization"}
)  # fmt: skip
_KEPT = frozenset({"type", "items", "additionalProperties", "required", "enum", "maxLength"})


@dataclass(frozen=True)
class Exchange:
    """A request and its reply. target: path and query as they were sent. Names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    reply_headers: Mapping[str, str]
    reply: bytes

    @property
    def path(self) -> str:
        """Without the query."""
        return self.target.partition("?")[0]

    def __str__(self) -> str:
        return f"{self.method} {self.target} -> {self.status}"


class OpenApi:
    """An OpenAPI 2.0 document, parsed."""

    def __init__(self, path: Path) -> None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self.value: dict[str, Any] = yaml.load(path.read_bytes(), loader)
        self.base = str(self.value["basePath"])

    def operation(self, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
        """The template and operation for a request; path: with its base, as sent."""
        for pattern, template, item in self._templates:
            if pattern.fullmatch(path.removeprefix(self.base)) and method.lower() in item:
                return template, item[method.lower()]
        return None

    def problems_of_request(self, exchange: Exchange) -> list[str]:
        """What the document would not have in this request."""
        found = self.operation(exchange.method, exchange.path)
        if found is None:
            return [f"{exchange}: no such operation"]
        _, operation = found
        parameters = [self._resolve(item) for item in operation.get("parameters", ())]
        problems = self._query_problems(exchange, parameters)
        problems += self._header_problems(exchange, parameters)
        problems += self._body_problems(exchange, parameters)
        return [f"{exchange}: {problem}" for problem in problems]

    def problems_of_reply(self, exchange: Exchange) -> list[str]:
        """What the document would not have in this reply."""
        found = self.operation(exchange.method, exchange.path)
        if found is None:
            return [] if exchange.status in (404, 405) else [f"{exchange}: no such operation"]
        declared = found[1]["responses"].get(str(exchange.status))
        if declared is None:
            return [f"{exchange}: this status is not declared"]
        response = self._resolve(declared)
        problems = []
        for name in response.get("headers", {}):
            if name in ("Location", "X-Total-Count") and name.lower() not in exchange.reply_headers:
                problems.append(f"no {name} header")
        problems += self._reply_body_problems(exchange, response.get("schema"))
        return [f"{exchange}: {problem}" for problem in problems]

    def _reply_body_problems(self, exchange: Exchange, schema: dict[str, Any] | None) -> list[str]:
        if exchange.method == "HEAD":
            return []
        if exchange.status >= 400 and exchange.reply:
            schema = {"$ref": "#/definitions/Errors"}  # all errors have one form
        if not exchange.reply:
            return ["no body"] if schema and exchange.status < 400 else []
        if schema is None:
            return [f"a body where none is declared: {exchange.reply[:80]!r}"]
        if self._resolve(schema).get("type") == "string":
            return []  # plain text, or JSON that the file says nothing of
        if "json" not in exchange.reply_headers.get("content-type", ""):
            return [f"not JSON: {exchange.reply[:80]!r}"]
        return self._mismatches(schema, json.loads(exchange.reply))

    @cached_property
    def _templates(self) -> list[tuple[re.Pattern[str], str, dict[str, Any]]]:
        """Paths as patterns; those without parameters first, as they are the more special."""
        paths = sorted(self.value["paths"].items(), key=lambda item: item[0].count("{"))
        return [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", template)), template, item)
            for template, item in paths
        ]

    @cached_property
    def _definitions(self) -> dict[str, Any]:
        return {name: _strict(item) for name, item in self.value["definitions"].items()}

    def _resolve(self, item: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in item:
            node: Any = self.value
            for key in item["$ref"].removeprefix("#/").split("/"):
                node = node[key]
            item = node
        return item

    def _query_problems(self, exchange: Exchange, parameters: list[dict[str, Any]]) -> list[str]:
        declared = {item["name"]: item for item in parameters if item["in"] == "query"}
        sent = dict(parse_qsl(exchange.target.partition("?")[2], keep_blank_values=True))
        problems = [f"no such query parameter: {name}" for name in sent if name not in declared]
        for name, item in declared.items():
            if name not in sent:
                problems += [f"query parameter {name} is missing"] * bool(item.get("required"))
                continue
            problems += [f"{name}: {text}" for text in _value_problems(item, sent[name])]
        return problems

    def _header_problems(self, exchange: Exchange, parameters: list[dict[str, Any]]) -> list[str]:
        declared = {item["name"].lower() for item in parameters if item["in"] == "header"}
        known = declared | _HEADERS_FOR_ALL | _OF_HTTP
        return [f"no such header: {name}" for name in exchange.headers if name not in known]

    def _body_problems(self, exchange: Exchange, parameters: list[dict[str, Any]]) -> list[str]:
        declared = next((item for item in parameters if item["in"] == "body"), None)
        if declared is None:
            return ["a body where none is declared"] if exchange.body else []
        if not exchange.body:
            return ["the body is missing"] if declared.get("required") else []
        if "json" not in exchange.headers.get("content-type", ""):
            return ["the body is not sent as JSON"]
        return self._mismatches(declared["schema"], json.loads(exchange.body))

    def _mismatches(self, schema: dict[str, Any], value: Any) -> list[str]:
        whole = {**_strict(schema), "definitions": self._definitions}
        validator = jsonschema.Draft4Validator(whole)
        return [
            f"{'/'.join(map(str, error.absolute_path)) or 'body'}: {error.message[:200]}"
            for error in validator.iter_errors(value)
        ]


def _strict(schema: Any) -> Any:
    """A Swagger schema as JSON Schema that allows nothing undeclared.

    Go's `object` without properties is any value at all (`params: {latestPushedK: 1}`).
    """
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    if schema.get("type") == "object" and not {"properties", "additionalProperties"} & set(schema):
        return {}
    value = {key: _strict(item) for key, item in schema.items() if key in _KEPT}
    if "properties" in schema:
        value["properties"] = {name: _strict(item) for name, item in schema["properties"].items()}
        value.setdefault("additionalProperties", False)
    if schema.get("x-nullable") and isinstance(value.get("type"), str):
        value["type"] = [value["type"], "null"]
    return value


def _value_problems(parameter: dict[str, Any], text: str) -> list[str]:
    """What is wrong with a query parameter's value."""
    kind = parameter.get("type")
    if kind == "boolean" and text not in ("true", "false"):
        return [f"{text!r} is not a boolean"]
    if kind == "integer":
        if not re.fullmatch(r"-?\d+", text):
            return [f"{text!r} is not a number"]
        if int(text) > parameter.get("maximum", int(text)):
            return [f"{text} is too large"]
    if parameter.get("enum") and text not in parameter["enum"]:
        return [f"{text!r} is none of {parameter['enum']}"]
    return []


def once_decoded(exchange: Exchange) -> Exchange:
    """As Harbor gets it from the nginx before it."""
    path, mark, query = exchange.target.partition("?")
    return Exchange(
        exchange.method, unquote(path) + mark + query, exchange.headers, exchange.body,
        exchange.status, exchange.reply_headers, exchange.reply,
    )  # fmt: skip
