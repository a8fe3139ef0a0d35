"""Where settings come from: a TOML file, and the environment and files its values may name."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub.errors import SettingsError


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises SettingsError."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is not valid TOML: {error}") from None


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with what `over` says instead, table by table."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(merged.get(key), Mapping) and isinstance(value, Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


class Resolver:
    """Replaces each `{ env = ... }` and `{ file = ... }` by what it names; `problems` gathers what
    is missing. Relative files and `.env` are looked for in `folder`."""

    def __init__(self, folder: Path, problems: list[str]) -> None:
        self.folder = folder
        self.problems = problems
        self._dotenv: Mapping[str, str | None] | None = None

    def resolve(self, value: Any, name: str) -> Any:
        if isinstance(value, Mapping):
            match dict(value):
                case {"env": str(variable), **rest} if not rest:
                    return self._from_environment(variable, name)
                case {"file": str(path), **rest} if not rest:
                    return self._from_file(path, name)
            prefix = f"{name}." if name else ""
            return {key: self.resolve(item, f"{prefix}{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item, f"{name}.{i}") for i, item in enumerate(value)]
        return value

    def _from_environment(self, variable: str, name: str) -> str:
        value = os.environ.get(variable)
        if value is None:
            value = self._read_dotenv().get(variable)
        if value is None:
            self.problems.append(f"{name}: environment variable {variable} is not set")
        elif not value:
            self.problems.append(f"{name}: environment variable {variable} is empty")
        return value or ""

    def _read_dotenv(self) -> Mapping[str, str | None]:
        if self._dotenv is None:
            from dotenv import dotenv_values

            self._dotenv = dotenv_values(self.folder / ".env", interpolate=False)
        return self._dotenv

    def _from_file(self, path: str, name: str) -> str:
        try:
            value = (self.folder / path).read_text("utf-8").rstrip("\r\n")
        except OSError as error:
            self.problems.append(f"{name}: file {path} cannot be read ({error.strerror})")
            return ""
        except UnicodeDecodeError:
            self.problems.append(f"{name}: file {path} is not UTF-8 text")
            return ""
        if not value:
            self.problems.append(f"{name}: file {path} is empty")
        return value
