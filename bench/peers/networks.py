"""The built-in networks as PyTorch modules, with parameters named as Espalier names them."""
import torch
import torch.nn.functional as F
from torch import nn


class Form:
    """What the networks are made of; the smooth form has no kinks, so that rounding cannot turn it."""

    activation = staticmethod(F.relu)
    pool = staticmethod(F.max_pool2d)

    @staticmethod
    def set_smooth(is_smooth):
        Form.activation = staticmethod(F.elu if is_smooth else F.relu)
        Form.pool = staticmethod(F.avg_pool2d if is_smooth else F.max_pool2d)


class LeNet300(nn.Module):
    def __init__(self, channels, size, classes, width):
        super().__init__()
        self.fc1 = nn.Linear(channels * size[0] * size[1], 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, classes)

    def forward(self, x):
        x = Form.activation(self.fc1(torch.flatten(x, 1)))
        return self.fc3(Form.activation(self.fc2(x)))


class LeNet5(nn.Module):
    def __init__(self, channels, size, classes, width):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        positions = ((size[0] // 2 - 4) // 2) * ((size[1] // 2 - 4) // 2)
        self.fc1 = nn.Linear(16 * positions, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x):
        x = Form.pool(Form.activation(self.conv1(x)), 2)
        x = Form.pool(Form.activation(self.conv2(x)), 2)
        x = Form.activation(self.fc1(torch.flatten(x, 1)))
        return self.fc3(Form.activation(self.fc2(x)))


class LeNet5Caffe(nn.Module):
    def __init__(self, channels, size, classes, width):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        positions = (((size[0] - 4) // 2 - 4) // 2) * (((size[1] - 4) // 2 - 4) // 2)
        self.fc1 = nn.Linear(50 * positions, 500)
        self.fc2 = nn.Linear(500, classes)

    def forward(self, x):
        x = Form.pool(Form.activation(self.conv1(x)), 2)
        x = Form.pool(Form.activation(self.conv2(x)), 2)
        return self.fc2(Form.activation(self.fc1(torch.flatten(x, 1))))


class VGG16(nn.Module):
    blocks = [[64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]]

    def __init__(self, channels, size, classes, width):
        super().__init__()
        before = channels
        for b, widths in enumerate(self.blocks, 1):
            for i, out in enumerate(widths, 1):
                setattr(self, f"conv{b}_{i}", nn.Conv2d(before, out, 3, padding=1, bias=False))
                setattr(self, f"bn{b}_{i}", nn.BatchNorm2d(out))
                before = out
        self.fc = nn.Linear(512 * (size[0] // 32) * (size[1] // 32), classes)

    def forward(self, x):
        for b, widths in enumerate(self.blocks, 1):
            for i in range(1, len(widths) + 1):
                x = getattr(self, f"conv{b}_{i}")(x)
                x = Form.activation(getattr(self, f"bn{b}_{i}")(x), inplace=True)
            x = Form.pool(x, 2)
        return self.fc(torch.flatten(x, 1))


class ResidualBlock(nn.Module):
    def __init__(self, before, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.more = out - before

    def forward(self, x):
        y = Form.activation(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        if self.more:
            half = self.more // 2
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.more - half))
        return Form.activation(y + x, inplace=True)


class ResNet(nn.Module):
    def __init__(self, blocks, channels, size, classes, width):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        before = 16
        for stage, out in enumerate([16, 32, 64], 1):
            layers = []
            for block in range(blocks):
                layers.append(ResidualBlock(before, out, 2 if stage > 1 and block == 0 else 1))
                before = out
            setattr(self, f"layer{stage}", nn.Sequential(*layers))
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        x = Form.activation(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class DoubleConv(nn.Module):
    def __init__(self, before, out):
        super().__init__()
        self.conv1 = nn.Conv2d(before, out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)

    def forward(self, x):
        x = Form.activation(self.bn1(self.conv1(x)), inplace=True)
        return Form.activation(self.bn2(self.conv2(x)), inplace=True)


class Up(DoubleConv):
    def __init__(self, out):
        super().__init__(2 * out, out)
        self.transpose = nn.ConvTranspose2d(2 * out, out, 2, stride=2)

    def forward(self, x, skip):
        return super().forward(torch.cat([skip, self.transpose(x)], 1))


class UNet(nn.Module):
    def __init__(self, channels, size, classes, width):
        super().__init__()
        before = channels
        for level in range(4):
            out = width * 2**level
            setattr(self, f"down{level + 1}", DoubleConv(before, out))
            setattr(self, f"up{level + 1}", Up(out))
            before = out
        self.bottom = DoubleConv(before, 2 * before)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        skips = []
        for level in range(4):
            x = getattr(self, f"down{level + 1}")(x)
            skips.append(x)
            x = Form.pool(x, 2)
        x = self.bottom(x)
        for level in reversed(range(4)):
            x = getattr(self, f"up{level + 1}")(x, skips[level])
        return self.head(x)


class Named(nn.Module):
    """A convolution or block part that is reached as `NAME.conv` and `NAME.transpose`."""

    def __init__(self, before, middle, out=None):
        super().__init__()
        self.conv = nn.Conv2d(before, middle, 3, padding=1)
        if out is not None:
            self.transpose = nn.ConvTranspose2d(middle, out, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x):
        x = Form.activation(self.conv(x), inplace=True)
        return Form.activation(self.transpose(x), inplace=True) if hasattr(self, "transpose") else x


class TernausNet(nn.Module):
    def __init__(self, channels, size, classes, width):
        super().__init__()
        w = width
        self.levels = [["conv1"], ["conv2"], ["conv3s", "conv3"], ["conv4s", "conv4"], ["conv5s", "conv5"]]
        before = channels
        for level, multiple in zip(self.levels, [2, 4, 8, 16, 16]):
            for name in level:
                setattr(self, name, nn.Conv2d(before, multiple * w, 3, padding=1))
                before = multiple * w
        self.center = Named(16 * w, 16 * w, 8 * w)
        self.dec5 = Named(24 * w, 16 * w, 8 * w)
        self.dec4 = Named(24 * w, 16 * w, 4 * w)
        self.dec3 = Named(12 * w, 8 * w, 2 * w)
        self.dec2 = Named(6 * w, 4 * w, w)
        self.dec1 = Named(3 * w, w)
        self.final = nn.Conv2d(w, classes, 1)

    def forward(self, x):
        skips = []
        for level in self.levels:
            for name in level:
                x = Form.activation(getattr(self, name)(x), inplace=True)
            skips.append(x)
            x = Form.pool(x, 2)
        for block in [self.center, self.dec5, self.dec4, self.dec3, self.dec2]:
            x = torch.cat([block(x), skips.pop()], 1)
        return self.final(self.dec1(x))


NETWORKS = {
    "lenet-300-100": LeNet300,
    "lenet5": LeNet5,
    "lenet5-caffe": LeNet5Caffe,
    "vgg16-bn": VGG16,
    "resnet20": lambda *options: ResNet(3, *options),
    "resnet56": lambda *options: ResNet(9, *options),
    "unet": UNet,
    "ternausnet": TernausNet,
}
