"""The usual script: a DataLoader that opens, augments and normalizes each picture in every epoch, and a loop.

MobileNetV2 from ImageNet at 128 × 128 with a head for gender and one for 101 ages (by expectation), AdamW.
With "frozen" in the job, the lower half of its weights is not trained, and its statistics stay as they are.
"""

import importlib.metadata
import json
import platform
import sys
import time
from pathlib import Path

import torch
from PIL import Image

if "+cpu" in torch.__version__ and "+" not in importlib.metadata.version("torchvision"):
    # A torchvision made for CUDA beside a torch without: it misses operators that no network here uses.
    for operator in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )

import torchvision
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

NORMALIZE = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
TRAIN = transforms.Compose(
    [
        transforms.RandomHorizontalFlip(),
        transforms.RandomRotation(10),
        transforms.RandomResizedCrop(128, scale=(0.7, 1.0), ratio=(0.9, 1.1)),
        transforms.ColorJitter(0.2, 0.2, 0.2),
        transforms.ToTensor(),
        NORMALIZE,
    ]
)
TEST = transforms.Compose([transforms.Resize((128, 128)), transforms.ToTensor(), NORMALIZE])


class Faces(Dataset):
    """Pictures whose names begin with age and gender (0 male, 1 female)."""

    def __init__(self, files, transform):
        self.files, self.transform = files, transform

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        age, gender = self.files[i].name.split("_")[:2]
        with Image.open(self.files[i]) as picture:
            x = self.transform(picture.convert("RGB"))
        return x, float(age), 1 - int(gender) if gender in "01" else 0


class Net(nn.Module):
    """MobileNetV2 with two heads."""

    def __init__(self, state):
        super().__init__()
        self.body = torchvision.models.mobilenet_v2(weights=None)
        self.body.load_state_dict(state)
        self.body.classifier = nn.Identity()
        self.dropout = nn.Dropout(0.2)
        self.age, self.gender = nn.Linear(1280, 101), nn.Linear(1280, 2)

    def forward(self, x):
        """Return the outputs of both heads."""
        features = self.dropout(self.body(x))
        return self.age(features), self.gender(features)


def loss_of(outputs, ages, genders):
    """Return the same loss that featurekit takes: one-year classes around the true age, its error, gender."""
    age, gender = outputs
    years = torch.arange(101.0)
    near = (-((years - ages[:, None].clamp(max=100)) ** 2) / 8).softmax(1)
    off = ((age.softmax(1) * years).sum(1) - ages).abs().mean()
    return functional.cross_entropy(age, near) + 0.1 * off + functional.cross_entropy(gender, genders)


def main():
    """Read the job, train, print the answer."""
    job = json.loads(Path(sys.argv[-1]).read_text())
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["round"])
    files = sorted(Path(job["folder"]).iterdir())
    train = DataLoader(
        Faces([f for i, f in enumerate(files) if i % job["held_out"]], TRAIN),
        job["batch"],
        shuffle=True,
        num_workers=1,
    )
    test = DataLoader(
        Faces([f for i, f in enumerate(files) if not i % job["held_out"]], TEST), 64, num_workers=1
    )
    net = Net(torch.load(job["weights"], weights_only=True))
    if job["frozen"]:
        own = list(net.body.parameters())
        for weight in own[: len(own) // 2]:
            weight.requires_grad_(False)
    trained = [weight for weight in net.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=job["rate"], weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(train) * job["epochs"])
    losses, ends = [], [time.perf_counter()]
    for _ in range(job["epochs"]):
        net.train()
        if job["frozen"]:
            net.body.eval()
        for x, ages, genders in train:
            optimizer.zero_grad()
            loss_of(net(x), ages.float(), genders).backward()
            optimizer.step()
            schedule.step()
        net.eval()
        total = 0.0
        with torch.inference_mode():
            for x, ages, genders in test:
                total += float(loss_of(net(x), ages.float(), genders)) * len(x)
        losses.append(total / len(test.dataset))
        ends.append(time.perf_counter())
    names = ("torch", "torchvision", "pillow", "numpy")
    versions = {name: importlib.metadata.version(name) for name in names}
    print(
        json.dumps(
            {
                "seconds": ends[-1] - ends[job["skipped"]],
                "n": len(files) * (job["epochs"] - job["skipped"]),
                "versions": {"python": platform.python_version(), **versions},
                "scores": {"held-out loss": f"{losses[-1]:.3f}"},
                "details": {"losses": losses},
            }
        )
    )


if __name__ == "__main__":
    main()
