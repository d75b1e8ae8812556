"""The six clients: how each is generated, checked and run, and why each option is set."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

STEPS = ("token", "publish", "bulk", "list", "patch", "412", "update", "changes", "exposure", "statement")
"""The steps that each story reports, in this order."""
STORIES = Path(__file__).parent / "stories"


class Client(NamedTuple):
    """A generator, and the program that uses its client."""

    name: str
    family: str
    generator: str
    """Its name and where it comes from, for the documentation."""
    prefix: str
    """Begins the keys of the records that its story publishes."""
    needs: tuple[str, ...]
    """Programs of the machine: node, java, go."""
    generate: tuple[str, ...]
    """Command that makes the client from ``openapi.json`` in the working directory."""
    options: tuple[tuple[str, str], ...]
    """Options that differ from the generator's defaults, and the reason for each."""
    checks: tuple[tuple[str, ...], ...]
    """Commands that check the types of client and story."""
    run: tuple[str, ...]
    story: str
    """The story, below ``stories``."""
    target: str
    """The place of the story in the working directory."""
    files: tuple[tuple[str, str], ...] = ()
    """Configuration files of the generator or the checker, and tests: place and content."""

    @property
    def source(self) -> Path:
        return STORIES / self.story


_MYPY = "[mypy]\nstrict = true\npython_version = 3.11\n"
_TSC = ("tsc", "--project", "tsconfig.json")
_TSCONFIG = """{
  "compilerOptions": {
    "strict": true, "skipLibCheck": true,
    "target": "es2022", "lib": ["es2022", "dom", "dom.iterable"], "types": ["node"],
    "module": "nodenext", "moduleResolution": "nodenext", "rootDir": ".", "outDir": "out"
  },
  "include": ["story.ts", "client*"]
}
"""
_HEY_API = """export default {
  input: "openapi.json",
  output: { path: "client", module: { extension: ".js" } },
};
"""
_GENERATED_WITHOUT_TYPES = """
[mypy-node_client.*]
disallow_untyped_defs = false
disallow_incomplete_defs = false
disallow_untyped_calls = false
warn_return_any = false
implicit_reexport = true
"""
"""The inside of the generated client has no types; the generator's own check leaves these out as well."""
_OPENAPI_GENERATOR = ("openapi-generator-cli", "generate", "--input-spec", "openapi.json")
_PARTS = "apis,models,supportingFiles,apiDocs=false,modelDocs=false,apiTests=false,modelTests=false"
_WITHOUT_WEBHOOKS = (
    f"--global-property {_PARTS}",
    "no webhooks, which a client does not call, and no pages and empty tests",
)


CLIENTS = (
    Client(
        name="openapi-python-client",
        family="python",
        generator="[openapi-python-client](https://github.com/openapi-generators/openapi-python-client), "
        "from PyPI",
        prefix="opc",
        needs=(),
        generate=(
            "openapi-python-client", "generate", "--path", "openapi.json", "--meta", "none",
            "--output-path", "node_client", "--overwrite",
        ),
        options=(
            ("--meta none", "only the package, without a project around it"),
            ("--output-path node_client", "the name of the package"),
        ),
        checks=(("mypy", "--config-file", "mypy.ini", "node_client", "story.py"),),
        run=("python", "story.py"),
        story="openapi_python_client.py",
        target="story.py",
        files=(("mypy.ini", _MYPY),),
    ),
    Client(
        name="openapi-fetch",
        family="typescript",
        generator="[openapi-typescript and openapi-fetch](https://openapi-ts.dev/), from npm",
        prefix="oft",
        needs=("node",),
        generate=("openapi-typescript", "openapi.json", "--output", "client.ts"),
        options=(),
        checks=(_TSC,),
        run=("node", "out/story.js"),
        story="openapi_fetch.ts",
        target="story.ts",
        files=(("tsconfig.json", _TSCONFIG),),
    ),
    Client(
        name="hey-api",
        family="typescript",
        generator="[@hey-api/openapi-ts](https://heyapi.dev/), from npm",
        prefix="hey",
        needs=("node",),
        generate=("openapi-ts", "--file", "openapi-ts.config.js"),
        options=(),
        checks=(_TSC,),
        run=("node", "out/story.js"),
        story="hey_api.ts",
        target="story.ts",
        files=(("openapi-ts.config.js", _HEY_API), ("tsconfig.json", _TSCONFIG)),
    ),
    Client(
        name="openapi-generator-python",
        family="python",
        generator="[OpenAPI Generator](https://openapi-generator.tech/), `python`",
        prefix="ogp",
        needs=("java",),
        generate=(
            *_OPENAPI_GENERATOR, "--generator-name", "python", "--output", ".",
            "--additional-properties", "packageName=node_client", "--name-mappings", "copy=copy_age",
            "--global-property", _PARTS,
        ),
        options=(
            ("packageName=node_client", "the name of the package"),
            ("--name-mappings copy=copy_age", "a pydantic model has a method copy"),
            _WITHOUT_WEBHOOKS,
        ),
        checks=(("mypy", "--config-file", "mypy.ini", "node_client", "story.py"),),
        run=("python", "story.py"),
        story="openapi_generator_python.py",
        target="story.py",
        files=(("mypy.ini", _MYPY + _GENERATED_WITHOUT_TYPES),),
    ),
    Client(
        name="typescript-fetch",
        family="typescript",
        generator="[OpenAPI Generator](https://openapi-generator.tech/), `typescript-fetch`",
        prefix="ogf",
        needs=("java", "node"),
        generate=(
            *_OPENAPI_GENERATOR, "--generator-name", "typescript-fetch", "--output", "client",
            "--additional-properties", "importFileExtension=.js", "--global-property", _PARTS,
        ),
        options=(("importFileExtension=.js", "modules that Node loads without a bundler"), _WITHOUT_WEBHOOKS),
        checks=(_TSC,),
        run=("node", "out/story.js"),
        story="typescript_fetch.ts",
        target="story.ts",
        files=(("tsconfig.json", _TSCONFIG),),
    ),
    Client(
        name="go",
        family="go",
        generator="[OpenAPI Generator](https://openapi-generator.tech/), `go`",
        prefix="ogg",
        needs=("java", "go"),
        generate=(
            *_OPENAPI_GENERATOR, "--generator-name", "go", "--output", "src/nodeclient",
            "--additional-properties",
            "packageName=nodeclient,enumClassPrefix=true,disallowAdditionalPropertiesIfNotPresent=false",
            "--global-property", _PARTS,
        ),
        options=(
            ("packageName=nodeclient", "the name of the package"),
            ("enumClassPrefix=true", "two enumerations can have a value of the same name"),
            (
                "disallowAdditionalPropertiesIfNotPresent=false",
                "keeps members that the document does not know yet, instead of refusing the answer",
            ),
            _WITHOUT_WEBHOOKS,
        ),
        checks=(
            ("go", "vet", "nodeclient", "story"),
            ("go", "test", "story"),
            ("go", "build", "-o", "story", "story"),
        ),
        run=("./story",),
        story="go/main.go",
        target="src/story/main.go",
        files=(("src/story/main_test.go", (STORIES / "go" / "main_test.go").read_text()),),
    ),
)  # fmt: skip
