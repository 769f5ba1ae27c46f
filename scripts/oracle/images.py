"""Images as Pillow opens, converts and resizes them and NumPy normalises them."""
import io

import numpy as np
from PIL import Image, ImageOps

import values
from case import Case
from values import chance, pick

FILTERS = {n.lower(): getattr(Image.Resampling, n) for n in ("NEAREST", "BOX", "BILINEAR", "BICUBIC", "LANCZOS")}
MODES = {"png": ["RGB", "RGBA", "L", "LA", "1", "P"], "webp": ["RGB", "RGBA"], "jpeg": ["RGB", "L", "CMYK"]}


def scene(rng):
    """Soft colors, hard edges and noise, or only noise."""
    h, w = int(rng.integers(1, 70)), int(rng.integers(1, 70))
    if chance(rng, .2):
        return Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8))
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([127 + 120 * np.sin(x / rng.uniform(1, 9) + y / rng.uniform(1, 9)) for _ in range(3)], -1) + rng.normal(0, 6, (h, w, 3))
    a[h // 4:h // 2, w // 3:2 * w // 3] = rng.integers(0, 256, 3)
    return Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))


def saved(rng):
    """An image file, its format."""
    format = pick(rng, ["png", "png", "webp", "jpeg"])
    mode = pick(rng, MODES[format])
    image = scene(rng)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(rng.integers(0, 256, image.size[::-1], dtype=np.uint8)))
    image = image.quantize(int(rng.integers(2, 200))) if mode == "P" else image.convert(mode)
    out, options = io.BytesIO(), {}
    if format == "png":
        options = {"compress_level": int(rng.integers(0, 10))}
    elif format == "webp":
        options = {"quality": int(rng.integers(0, 101)), "lossless": chance(rng, .5), "method": int(rng.integers(0, 5))}
    else:
        options = {"quality": int(rng.integers(20, 96)), "progressive": chance(rng, .3), "optimize": chance(rng, .3)}
        if mode == "RGB":
            options["subsampling"] = int(rng.integers(0, 3))
    image.save(out, format=format, **options)
    return out.getvalue(), format, f"{format} {mode} {image.size} {options}"


def resized(rng, image, o):
    """image brought to a random size, which o tells."""
    h, w = (int(n) for n in rng.integers(1, 60, 2))
    how, name = pick(rng, ["stretch", "stretch", "crop", "pad"]), pick(rng, list(FILTERS))
    o |= {"Size": [h, w], "Resize": how, "Filter": name}
    f = FILTERS[name]
    if how == "pad" and min(round(image.height / image.width * w), round(image.width / image.height * h)) == 0:
        how = o["Resize"] = "stretch"  # Pillow leaves nothing of the image
    if how == "stretch":
        return image.resize((w, h), f)
    if how == "pad":
        o["Pad"] = int(rng.integers(256))
        return ImageOps.pad(image, (w, h), f, color=(o["Pad"],) * len(image.getbands()))
    to, (iw, ih) = max(h, w), image.size  # as torchvision's Resize and CenterCrop
    if chance(rng, .5):
        to = o["ResizeTo"] = to + int(rng.integers(20))
    image = image.resize((to, to * ih // iw) if iw <= ih else (to * iw // ih, to), f)
    top, left = round((image.height - h) / 2), round((image.width - w) / 2)
    return image.crop((left, top, left + w, top + h))


def write_image(rng):
    body, format, note = saved(rng)
    o = {"Color": pick(rng, ["rgb", "rgb", "bgr", "gray"]), "Layout": pick(rng, ["nchw", "nhwc"])}
    image = Image.open(io.BytesIO(body)).convert("L" if o["Color"] == "gray" else "RGB")
    if chance(rng, .7):
        image = resized(rng, image, o)
    pixels = np.asarray(image)
    pixels = pixels[..., np.newaxis] if pixels.ndim == 2 else pixels
    pixels = pixels[..., ::-1] if o["Color"] == "bgr" else pixels
    dtype = "uint8" if format == "jpeg" else pick(rng, ["uint8", "float32", "float16", "float64"])
    if dtype != "uint8":
        o["Scale"] = pick(rng, [1, 1 / 255, 1 / 127.5])
        n = pick(rng, [1, pixels.shape[2]])
        o["Mean"], o["Std"] = rng.random(n).tolist(), (rng.random(n) + .1).tolist()
        pixels = ((pixels.astype(np.float64) * o["Scale"] - np.array(o["Mean"])) / np.array(o["Std"])).astype(dtype)
    tensor = np.ascontiguousarray(pixels if o["Layout"] == "nhwc" else pixels.transpose(2, 0, 1))[np.newaxis]
    want = {"name": "x", "dtype": dtype, "shape": values.opened(rng, tensor.shape)}
    return Case(body, [("x", tensor)], [want], note=note, options={"codec": {"Image": o}, "jpeg": format == "jpeg"})


WRITE = {"image": write_image}
READ = {}
