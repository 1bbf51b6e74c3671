"""How a network is usually run over pictures on a GPU: a loop, and a DataLoader with batches of 64.

Each opens the pictures with Pillow, resizes them whole to 224 × 224 and normalizes them; neither looks for a
face nor keeps a vector. With `bf16`, the network runs as who knows PyTorch well writes it: autocast and
channels_last.
"""

import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

BATCH = 64
TRANSFORM = transforms.Compose(
    [
        transforms.Resize((224, 224)),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)


def load(name, weights, device, bf16=False):
    """Return one of torchvision's networks without its classifier."""
    network = getattr(torchvision.models, name)(weights=None)
    network.load_state_dict(torch.load(weights, weights_only=True))
    if name.startswith("resnet"):
        network.fc = torch.nn.Identity()
    else:
        network.classifier = network.classifier[:5]  # up to fc7 with its ReLU
    network = network.eval().to(device)
    return network.to(memory_format=torch.channels_last) if bf16 else network


class Pictures(Dataset):
    """Whole pictures, as the network takes them."""

    def __init__(self, files):
        self.files = files

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        with Image.open(self.files[i]) as picture:
            return TRANSFORM(picture.convert("RGB"))


def loop(network, files, device):
    """Return the vectors of the pictures, which go through the network one by one."""
    vectors = []
    with torch.inference_mode():
        for file in files:
            with Image.open(file) as picture:
                x = TRANSFORM(picture.convert("RGB"))
            vectors += network(x[None].to(device)).cpu()
    return torch.stack(vectors)


def loader(files, workers):
    """Return a DataLoader over the pictures, whose worker processes have started and stay."""
    pictures = DataLoader(
        Pictures(files),
        batch_size=BATCH,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
    )
    if workers:
        for _ in pictures:  # to the end: what is under way would count as part of the next pass
            pass
    return pictures


def batches(network, pictures, device, bf16=False):
    """Return the vectors of the pictures of a DataLoader."""
    vectors = []
    with torch.inference_mode(), torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16):
        for batch in pictures:
            x = batch.to(device, non_blocking=True)
            if bf16:
                x = x.contiguous(memory_format=torch.channels_last)
            vectors.append(network(x).float().cpu())
    return torch.cat(vectors)
