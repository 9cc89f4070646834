"""JSON Schema of a scenario, for editors that complete and check YAML."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from contagion.scenario.rules import BUILT_IN
from contagion.scenario.schema import Scenario

RULE_FIELDS = {"prices": "process", "impact": "impact", "engine": "engine", "waterfall": "layer", "network": "reader"}
"""Fields that hold rules -> kind of rule."""


class _Generator(GenerateJsonSchema):
    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:
        """Durations are written as text."""
        return {"type": "string", "description": "a duration such as '1min', '8h' or '30s'"}


def scenario_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a scenario file; rules are a name or a mapping with the name and parameters."""
    schema = Scenario.model_json_schema(schema_generator=_Generator)
    for definition in [schema, *schema["$defs"].values()]:
        properties = definition.get("properties", {})
        for field, kind in RULE_FIELDS.items():
            if field in properties:
                rule = {"$ref": f"#/$defs/rule_{kind}"}
                is_list = properties[field].get("type") == "array"
                if {"type": "null"} in properties[field].get("anyOf", ()):
                    rule = {"anyOf": [rule, {"type": "null"}]}
                properties[field] = {"type": "array", "items": rule} if is_list else rule
        if "archetype" in properties:
            properties["archetype"] = _name("archetype")
    schema["$defs"].pop("RuleSpec", None)
    for kind in RULE_FIELDS.values():
        mapping = {"type": "object", "required": [kind], "properties": {kind: _name(kind)}}
        schema["$defs"][f"rule_{kind}"] = {"anyOf": [_name(kind), mapping]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _name(kind: str) -> dict[str, Any]:
    pattern = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$"}
    return {"anyOf": [{"enum": sorted(BUILT_IN[kind])}, pattern]}
