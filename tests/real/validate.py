"""Holds bills of materials and provenance to the validators of those who specify them."""

import json
import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


def cyclonedx(path):
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text())
    return [] if error is None else [str(error)]


def spdx(path):
    return [message.validation_message for message in validate_full_spdx_document(parse_file(str(path)))]


def provenance(path):
    document = json.loads(path.read_text())
    statement = Statement([], document["predicateType"], document["predicate"])
    json_format.ParseDict(document, statement.pb)
    statement.validate()
    # Unknown or misspelt fields of the predicate are errors here.
    predicate = json_format.ParseDict(document["predicate"], provenance_pb2.Provenance())
    for descriptor in predicate.build_definition.resolved_dependencies:
        ResourceDescriptor.copy_from_pb(descriptor).validate()
    return []


failed = 0
count = 0
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.json")):
    kind = {"cdx": cyclonedx, "spdx": spdx, "intoto": provenance}[path.name.rsplit(".", 2)[1]]
    count += 1
    try:
        errors = kind(path)
    except Exception as error:  # whatever a validator raises is what is wrong
        errors = [f"{type(error).__name__}: {error}"]
    for error in errors:
        failed += 1
        print(f"{path}: {error}")
print(f"{count} documents, {failed} errors")
sys.exit(1 if failed or not count else 0)
