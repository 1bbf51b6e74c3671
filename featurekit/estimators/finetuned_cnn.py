"""Pretrained networks with new classifiers, trained further on the faces of the data set.

Several networks can be trained as one: their features are joined. Each network receives
the part of the face for which it was pretrained. A network that was pretrained on faces
also receives the size of image for which it was pretrained.
"""

from typing import TYPE_CHECKING, Any

from featurekit.estimators import alias, classifier
from featurekit.estimators._networks import cnn
from featurekit.estimators._networks.schedule import together
from featurekit.faces.align import TEMPLATES, similarity
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES, Backbone

if TYPE_CHECKING:
    import torch

    from featurekit.estimators._networks.estimator import CNN

DEFAULT = ("dlib_age", "mobilenet_v2")


def pretrained(cnn: "CNN") -> "torch.nn.Module":
    """Return one network that joins the features of the pretrained networks in cnn.networks."""
    import torch
    from torch.nn import functional

    backbones = [BACKBONES[name] for name in cnn.networks]

    class Pretrained(torch.nn.Module):
        """Pixels (n, 3, side, side) from 0 to 255 → features of all networks, joined to one vector."""

        def __init__(self) -> None:
            super().__init__()
            self.dim = sum(one.layers[one.default_layer] for one in backbones)
            self.bodies = torch.nn.ModuleList(
                one.trainable(weights.read(one.weights or "")) for one in backbones
            )
            self.views = [_view(one, cnn.side) for one in backbones]
            for number, one in enumerate(backbones):
                for name in ("mean", "scale"):
                    tensor = torch.tensor(getattr(one.normalization, name)).view(1, 3, 1, 1)
                    self.register_buffer(f"{name}_{number}", tensor, persistent=False)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            features = []
            for number, body in enumerate(self.bodies):
                rows, columns, side = self.views[number]
                own: Any = pixels[:, :, rows, columns]
                # Known without a look at the pixels, so that the network can be split into halves.
                if (rows.stop - rows.start, columns.stop - columns.start) != (side, side):
                    own = functional.interpolate(own, (side, side), mode="bilinear", antialias=True)
                own = (own - getattr(self, f"mean_{number}")) / getattr(self, f"scale_{number}")
                if backbones[number].normalization.bgr:
                    own = own[:, [2, 1, 0]]
                features.append(body(own.contiguous(memory_format=torch.channels_last))[0])
            return torch.cat(features, dim=1) if len(features) > 1 else features[0]

    return Pretrained()


def _view(backbone: Backbone, side: int) -> tuple[slice, slice, int]:
    """Return the rows and columns of the face that a network receives, and the side they are resized to."""
    turn, shift = similarity(TEMPLATES["imagenet"], TEMPLATES[backbone.template])
    first, last = -shift / turn.real, (1 + 1j - shift) / turn.real
    edges = [min(max(round(side * part), 0), side) for part in (first.imag, last.imag, first.real, last.real)]
    own = min(edges[1] - edges[0], edges[3] - edges[2])
    # Networks for faces need one size. Networks for objects accept any size, and a smaller one is faster.
    takes_any = backbone.template == "imagenet" and not backbone.is_fixed_size
    wanted = min(backbone.input_size, own) if takes_any else backbone.input_size
    return slice(edges[0], edges[1]), slice(edges[2], edges[3]), wanted


make_finetuned_cnn = classifier(
    "finetuned_cnn",
    about="pretrained networks with new classifiers, trained end to end on one target; --set ages=ordered"
    " treats age groups as ordered classes (CORAL)",
    reads="crops",
    uses_gpu=True,
    starts_from=DEFAULT,
)(cnn(make_body=pretrained, networks=DEFAULT))


make_multitask_cnn = classifier(
    "multitask_cnn",
    about="pretrained networks with new classifiers, trained end to end as one network for age, age group and"
    " gender, which share features; --set gender_to_age=true gives the predicted gender to the age heads",
    reads="crops",
    uses_gpu=True,
    starts_from=DEFAULT,
    also=together,
)(cnn(make_body=pretrained, networks=DEFAULT))


# Names from before these were parameters, which commands and stored runs still use.
alias(
    "gender_to_age_cnn",
    of=make_multitask_cnn,
    about="multitask_cnn that gives the predicted gender to the age heads",
    gender_to_age=True,
)
alias(
    "ordered_cnn",
    of=make_finetuned_cnn,
    about="like finetuned_cnn, with age groups as ordered classes (CORAL): one threshold between"
    " neighbouring groups",
    ages="ordered",
)
