"""Load a model in any of its forms: folder, factory with weights, or a file that needs trust."""

from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path

import torch
from torch import Tensor, nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.checkpoint_models import only_weights, what_is_pickled, with_hyper_parameters
from sparselrp_cli.model.factories import file_of, import_factory
from sparselrp_cli.model.finite import require_finite
from sparselrp_cli.model.folder import build, read_spec
from sparselrp_cli.model.foreign import foreign_file
from sparselrp_cli.model.forms import InForm
from sparselrp_cli.model.inputs import hold_inputs
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.output_names import OutputNames, own_names
from sparselrp_cli.model.prints import printing_to_stderr, silently
from sparselrp_cli.model.randomness import FIRST_SEED, require_own_numbers, seeded
from sparselrp_cli.model.request import FORMS, LAYOUTS, ModelRequest
from sparselrp_cli.model.results import leaves_of
from sparselrp_cli.model.rows import row_files
from sparselrp_cli.model.shipped import is_bare, place_of_model, shipped_models
from sparselrp_cli.model.token_models import MASK, TokenModel
from sparselrp_cli.model.token_text import read_tokens
from sparselrp_cli.model.trusted import TRUSTED_SUFFIXES, load_trusted
from sparselrp_cli.model.weights import NOTHING, fill_from, load_checkpoint
from sparselrp_cli.model.whole_folders import GRAPH, SPEC
from sparselrp_cli.model.wrappers import unwrapped

_CHECKPOINTS = (".ckpt", ".pt", ".pth")
_ONLY_WEIGHTS = (".safetensors", ".ckpt", ".bin")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network with what is needed to feed it.

    Attributes
    ----------
    name : str
    module : nn.Module
    window : int
        Window length in bp.
    layout : InputLayout
    outputs : tuple of OutputNames
        As far as the model names them; may be empty.
    files : tuple of Path
        What it was made from.
    notes : tuple of str
        What was decided while it was loaded, for the log.
    kept : Path or None
        Where its graph is to be kept for later runs, if anywhere.
    tasks : tuple of str
        What it calls the tasks of those of its outputs that have as many, where it doesn't name outputs.
    """

    name: str
    module: nn.Module
    window: int
    layout: InputLayout
    outputs: tuple[OutputNames, ...]
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    kept: Path | None = None
    tasks: tuple[str, ...] = ()

    @property
    def base_axis(self) -> int | None:
        """The axis of the input that holds the bases, if any does."""
        return self.layout.base_axis

    def example(self, n_samples: int = 2) -> torch.Tensor:
        """Make a random one-hot input, the same each time, as the model takes it, where its weights are."""
        generator = torch.Generator().manual_seed(0)
        bases = torch.randint(4, (n_samples, self.window), generator=generator)
        one_hot = nn.functional.one_hot(bases, 4).transpose(1, 2).contiguous()
        return self.layout.to_model(one_hot.to(module_device(self.module), module_dtype(self.module)))

    def outputs_of(self, x: Tensor) -> list[Tensor]:
        """Give what the model returns for an input as it takes it; without what it prints."""
        with silently(), torch.no_grad(), torch.compiler.set_stance("force_eager"):
            leaves = leaves_of(self.module(x))
        return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


@dataclass(frozen=True, slots=True)
class ImageModel(LoadedModel):
    """A network that takes images.

    Attributes
    ----------
    image : tuple of int
        Shape of one image, (C, H, W).
    signed : bool
        Whether its numbers may be negative.
    """

    image: tuple[int, ...] = ()
    signed: bool = False

    @property
    def base_axis(self) -> int | None:
        """An image holds no bases."""
        return None

    def example(self, n_samples: int = 2) -> torch.Tensor:
        """Make random images, the same each time, where the weights are."""
        generator = torch.Generator().manual_seed(0)
        images = torch.rand((n_samples, *self.image), generator=generator)
        images = 2 * images - 1 if self.signed else images
        return images.to(module_device(self.module), module_dtype(self.module))


def module_device(module: nn.Module) -> torch.device:
    """Give the device of a module's weights, the first ones; the CPU where it has none."""
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device("cpu")


def module_dtype(module: nn.Module) -> torch.dtype:
    """Give the floating-point type of a module's parameters."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor.dtype
    return torch.float32


def load_model(request: ModelRequest) -> LoadedModel:
    """Load a model of any form but a packed graph, which `graph.loaded` knows.

    Raises
    ------
    ModelError
        With one line on what is wrong and what to do.
    """
    request = found(request)
    return _as_asked(_load(request), request)


def found(request: ModelRequest) -> ModelRequest:
    """Put the folder of a shipped model in the place of its name."""
    return replace(request, reference=place_of_model(request.reference))


def _as_asked(model: LoadedModel, request: ModelRequest) -> LoadedModel:
    """Bring a model to evaluation mode, with the layout, window and inputs that were asked for."""
    for submodule in model.module.modules():  # what .eval() does; exported programs refuse the call
        submodule.training = False
    form = request.layout if request.layout in FORMS else None
    asked = LAYOUTS[0] if form else request.layout
    layout = InputLayout(request.alphabet or model.layout.alphabet, asked or model.layout.layout)  # type: ignore[arg-type]
    window = request.window or model.window
    if not window:
        raise ModelError(f"model '{model.name}' doesn't say its window length; give it with --window")
    dtype = module_dtype(model.module)
    if not request.by_window and (files := row_files(request.inputs)):
        raise ModelError(
            f"--input {files[0].name}={files[0].path}: rows go with the regions of `sparselrp attribute`;"
            f" here hold the input constant, {files[0].name}=SHAPE:VALUE"
        )
    module = hold_inputs(model.module, request.inputs, dtype, layout.base_axis, form)
    module = InForm(module, form) if form is not None and module is model.module else module
    model = replace(model, module=module, layout=layout, window=window)
    return model if request.tokens is None else _reading_tokens(model, request)


def _reading_tokens(model: LoadedModel, request: ModelRequest) -> LoadedModel:
    """Make a model of ids one of one-hot sequences."""
    if request.alphabet or request.layout:
        named = "--alphabet" if request.alphabet else "--layout"
        raise ModelError(f"{named} is for models that read one-hot sequences; leave it out with --tokens")
    asked = read_tokens(request.tokens or "")
    if asked.tokeniser.varies and any(text.partition("=")[0] == MASK for text in request.inputs):
        raise ModelError(f"--input {MASK}: it says what is padding, by window; leave it out with --tokens")
    module = TokenModel(model.module, asked.scheme, asked.count_for(model.window))
    return replace(model, module=module, layout=InputLayout(), files=(*model.files, *asked.files))


def _load(request: ModelRequest) -> LoadedModel:
    if request.model_class is not None:
        return _load_factory(_of_class(request))
    path = Path(request.reference)
    if path.is_dir() or path.name == SPEC:
        return _load_folder(path if path.name == SPEC else path / SPEC, request)
    if path.suffix in TRUSTED_SUFFIXES and ":" not in path.name:
        return _load_file(path, request)
    if ":" in request.reference and not path.is_file():
        return _load_factory(request)
    if path.is_file() and path.suffix in _ONLY_WEIGHTS and foreign_file(path) is None:
        _require_no_folder(path)
        raise only_weights(path)
    if path.is_file():
        raise ModelError(f"{path}: {_what_it_is(path)}")
    raise ModelError(f"{path}: no such model folder or file{_shipped(request.reference)}")


def _shipped(reference: str) -> str:
    """Say which models come with the package, where one of them may have been meant."""
    names = shipped_models()
    return f"; shipped models are {', '.join(names)}" if names and is_bare(reference) else ""


def _what_it_is(path: Path) -> str:
    """Say why a file isn't a model, and what to do."""
    if (said := foreign_file(path)) is not None:
        return said
    if path.suffix == ".py":
        return f"Python code; say which function or class in it makes the model: {path}:FACTORY"
    return "not a model; give a model folder, FILE.py:FACTORY, or a .pt2 or .pt file"


def _require_no_folder(path: Path) -> None:
    """Refuse a model folder's own weights with the folder's name."""
    if path.suffix == ".safetensors" and any((path.parent / name).is_file() for name in (SPEC, GRAPH)):
        raise ModelError(f"{path}: weights of a model folder; give the folder: {path.parent}")


def _load_folder(path: Path, request: ModelRequest) -> LoadedModel:
    if not path.is_file():
        raise ModelError(f"{path.parent}: neither {SPEC} nor {GRAPH} in it, so not a model folder")
    if request.weights is not None:
        raise ModelError("--weights goes with a factory; a model folder brings its own")
    spec = read_spec(path)
    module = build(spec, path)
    require_finite(module, str(path.parent / spec.weights))
    layout = InputLayout(spec.alphabet, spec.layout)  # type: ignore[arg-type]
    files = (path, path.parent / spec.weights)
    return LoadedModel(spec.name, module, spec.window, layout, spec.outputs, files)


def _of_class(request: ModelRequest) -> ModelRequest:
    """Take a checkpoint and the class of its model as a factory and its weights."""
    path, place = Path(request.reference), request.model_class
    if path.suffix in _CHECKPOINTS and not path.exists():
        raise ModelError(f"{path}: no such file")
    if path.is_dir() or not path.is_file() or request.weights is not None:
        raise ModelError(
            f"{request.reference}: --model-class goes with a checkpoint, -m NET.ckpt; a factory needs none,"
            " and a model folder says its own"
        )
    if ":" not in str(place):
        raise ModelError(f"--model-class '{place}': write PACKAGE.MODULE:CLASS or FILE.py:CLASS")
    return replace(request, reference=str(place), weights=path, model_class=None)


def _load_factory(request: ModelRequest) -> LoadedModel:
    checkpoint = None if request.weights is None else load_checkpoint(request.weights, trust=request.trust)
    with seeded(FIRST_SEED), printing_to_stderr():
        factory, called = with_hyper_parameters(import_factory(request.reference), checkpoint)
        module, wrappers = unwrapped(factory.make())
    notes = tuple(f"{request.reference}: {note}" for note in (*called, *wrappers))
    filled = NOTHING if checkpoint is None else fill_from(module, checkpoint)
    require_finite(module, str(request.weights or request.reference))
    parts = () if checkpoint is None else checkpoint.parts
    files = [file for file in (file_of(request.reference), request.weights, *parts) if file is not None]
    name = request.reference.rpartition(":")[2]
    names = own_names(module, factory.function)
    model = LoadedModel(
        name, module, own_window(module), InputLayout(), names.outputs, tuple(files), tasks=names.tasks
    )

    def compute() -> list[Tensor]:
        asked = _as_asked(model, request)
        return asked.outputs_of(asked.example())

    own = require_own_numbers(factory, module, filled.names, compute)
    return replace(model, notes=(*notes, *filled.notes, *own))


def own_window(module: nn.Module) -> int:
    """Give the window length that a module says itself, in bp; 0 where it says none."""
    window = getattr(module, "window", 0)
    is_length = isinstance(window, Integral) and not isinstance(window, bool)
    return int(window) if is_length and window > 0 else 0


def _load_file(path: Path, request: ModelRequest) -> LoadedModel:
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    if (said := foreign_file(path)) is not None:
        raise ModelError(f"{path}: {said}")
    if not request.trust:
        raise what_is_pickled(path)
    if request.weights is not None:
        raise ModelError(f"--weights goes with a factory; {path} brings its own")
    module, notes = load_trusted(path)
    require_finite(module, str(path))
    names, window = own_names(module), own_window(module)
    return LoadedModel(
        path.stem, module, window, InputLayout(), names.outputs, (path,), notes, tasks=names.tasks
    )
