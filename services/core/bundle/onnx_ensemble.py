"""All boosters of a bundle in one ONNX Runtime session.

A single call spends more time on entering ONNX Runtime than in the trees: six boosters in one session take half the
time of six sessions. The nodes are those of the bundle's ``.onnx`` files, so the outputs are equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import onnx.compose
import onnxruntime

from services.core.errors import VigieError


def create_session(model: bytes) -> onnxruntime.InferenceSession:
    """Make an ONNX Runtime session of one thread, so that results do not depend on the number of cores.

    Args:
        model: The serialised ONNX model.

    Returns:
        The session, on the CPU.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class OnnxEnsemble:
    """Several boosters merged into one ONNX Runtime session.

    Attributes:
        run: ``run(outputs, {name: matrix})`` gives each booster's output, float32 (n, 1) or (n, k).
        matrices: Names of the inputs, float32 (n, p).
        outputs: Names of the outputs, in the order of the files.

    Args:
        files: Each booster's file and the name of the matrix that it reads.

    Raises:
        VigieError: the files were not written by one converter.
    """

    def __init__(self, files: Sequence[tuple[Path, str]]) -> None:
        graph = onnx.GraphProto(name="forests")
        inputs: dict[str, Any] = {}
        opsets: dict[str, int] = {}
        newest = 0
        for number, (path, matrix) in enumerate(files):
            model = onnx.compose.add_prefix(onnx.load_from_string(path.read_bytes()), f"{number}/", rename_inputs=False)
            own = model.graph.input[0].name
            for node in model.graph.node:
                node.input[:] = [matrix if name == own else name for name in node.input]
            graph.node.extend(model.graph.node)
            graph.initializer.extend(model.graph.initializer)
            graph.output.append(model.graph.output[-1])
            inputs.setdefault(matrix, model.graph.input[0]).name = matrix
            newest = max(newest, model.ir_version)
            for opset in model.opset_import:
                if opsets.setdefault(opset.domain, opset.version) != opset.version:
                    raise VigieError(f"{path} was written for another version of ONNX.", action="Train again.")
        graph.input.extend(inputs.values())
        self.matrices = tuple(inputs)
        self.outputs = [output.name for output in graph.output]
        opset_imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        merged = onnx.helper.make_model(graph, opset_imports=opset_imports, ir_version=newest)
        self.run = create_session(merged.SerializeToString()).run
