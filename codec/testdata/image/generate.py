"""Makes the images beside it, and cases.json: what Pillow and NumPy make of each.

Run with Pillow 13 and NumPy 2 in this folder; nothing of it is random. A case of a lossless format has the SHA-256 of
the tensor's bytes, one of a JPEG image the pixels as a PNG image.
"""
import hashlib, io, json, struct, zlib

import numpy as np
from PIL import Image, ImageOps

FILTERS = {n.lower(): getattr(Image.Resampling, n) for n in ("NEAREST", "BOX", "BILINEAR", "BICUBIC", "LANCZOS")}
rng = np.random.default_rng(20261122)


def scene(w, h):
    """Soft colors, hard edges and noise."""
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([127 + 120 * np.sin(x / (3 + c) + y / (7 - c)) for c in range(3)], -1) + rng.normal(0, 6, (h, w, 3))
    a[h // 4:h // 2, w // 3:2 * w // 3] = (250, 10, 20)
    a[2 * h // 3:, : w // 4] = (0, 40, 255)
    return np.clip(a, 0, 255).astype(np.uint8)


def png(name, samples, depth, color, extra=()):
    """Writes what Pillow cannot: any depth and color type; samples are [height, width*channels]."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    h, n = samples.shape
    w = n // {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    bits = (samples.astype(">u2") if depth == 16 else samples.astype(np.uint8)).tobytes()
    if depth < 8:
        rows = (samples[..., None] >> np.arange(depth - 1, -1, -1) & 1).reshape(h, -1).astype(np.uint8)
        bits = np.packbits(rows, axis=1).tobytes()
    row = len(bits) // h
    raw = b"".join(b"\0" + bits[i * row:(i + 1) * row] for i in range(h))
    body = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, 0))
    body += b"".join(chunk(k, d) for k, d in extra) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")
    open(name, "wb").write(body)


def images():
    wide, tall = scene(37, 23), scene(21, 40)
    alpha = rng.integers(0, 256, wide.shape[:2] + (1,)).astype(np.uint8)
    rgba = np.concatenate([wide, alpha], -1)
    Image.fromarray(wide).save("rgb.png", optimize=True)
    Image.fromarray(tall).save("tall.png", optimize=True)
    Image.fromarray(rgba).save("rgba.png", optimize=True)
    Image.fromarray(rgba).convert("LA").save("la.png", optimize=True)
    Image.fromarray(wide).convert("L").save("gray.png", optimize=True)
    Image.fromarray(wide).convert("1").save("bits.png", optimize=True)
    Image.fromarray(wide).quantize(50).save("palette.png", optimize=True)
    Image.fromarray(wide[:1, :1]).save("pixel.png")
    for depth in (2, 4, 16):
        top = 600 if depth == 16 else 1 << depth
        png(f"gray{depth}.png", rng.integers(0, top, (9, 13)), depth, 0)
    png("gray16-transparent.png", rng.integers(0, 600, (9, 13)), 16, 0, [(b"tRNS", struct.pack(">H", 300))])
    png("rgb16.png", rng.integers(0, 65536, (9, 39)), 16, 2)
    png("rgb16-transparent.png", rng.integers(0, 65536, (9, 39)), 16, 2, [(b"tRNS", struct.pack(">HHH", 1, 2, 3))])
    png("la16.png", rng.integers(0, 65536, (9, 26)), 16, 4)
    png("rgba16.png", rng.integers(0, 65536, (9, 52)), 16, 6)
    png("palette-transparent.png", rng.integers(0, 3, (9, 13)), 2, 3,
        [(b"PLTE", bytes([255, 0, 0, 9, 200, 3, 0, 0, 80])), (b"tRNS", bytes([0, 128]))])
    Image.fromarray(wide).save("lossy.webp", quality=70)
    Image.fromarray(tall).save("lossy-tall.webp", quality=30)
    Image.fromarray(rgba).save("lossy-alpha.webp", quality=70)
    Image.fromarray(wide).save("lossless.webp", lossless=True)
    Image.fromarray(rgba).save("lossless-alpha.webp", lossless=True)
    for s in (0, 1, 2):
        Image.fromarray(wide).save(f"4{'44 22 20'.split()[s]}.jpeg", quality=85, subsampling=s)
    Image.fromarray(wide[:, :3]).save("narrow.jpeg", quality=85, subsampling=2)
    Image.fromarray(tall).save("progressive.jpeg", quality=60, progressive=True)
    Image.fromarray(wide).convert("L").save("gray.jpeg", quality=85)
    Image.fromarray(wide).convert("CMYK").save("cmyk.jpeg", quality=85)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(wide).save("turned.jpeg", quality=85, exif=exif)
    two = [Image.fromarray(wide), Image.fromarray(255 - wide)]
    two[0].save("animated.webp", save_all=True, append_images=two[1:], lossless=True)
    two[0].save("animated.png", save_all=True, append_images=two[1:])


def expected(file, o):
    im = Image.open(file).convert("L" if o.get("Color") == "gray" else "RGB")
    if "Size" in o:
        h, w = o["Size"]
        f, how = FILTERS[o.get("Filter", "bilinear")], o.get("Resize", "stretch")
        if how == "stretch":
            im = im.resize((w, h), f)
        elif how == "pad":
            im = ImageOps.pad(im, (w, h), f, color=(o.get("Pad", 0),) * len(im.getbands()))
        else:  # as torchvision's Resize and CenterCrop
            to, (iw, ih) = o.get("ResizeTo", max(h, w)), im.size
            im = im.resize((to, to * ih // iw) if iw <= ih else (to * iw // ih, to), f)
            top, left = round((im.height - h) / 2), round((im.width - w) / 2)
            im = im.crop((left, top, left + w, top + h))
    a = np.asarray(im)
    a = a[..., None] if a.ndim == 2 else a
    return a[..., ::-1] if o.get("Color") == "bgr" else a


def main():
    images()
    cases = []

    def case(file, dtype="uint8", **o):
        a = expected(file, o)
        c = {"file": file, "dtype": dtype, "options": o}
        if file.endswith("jpeg"):
            name = f"expected{len(cases)}.png"
            Image.fromarray(a if a.shape[2] == 3 else a[..., 0]).save(name, optimize=True)
            c["pixels"] = name
        else:
            if dtype != "uint8":
                v = a.astype(np.float64) * o.get("Scale", 1 / 255)
                a = ((v - np.array(o.get("Mean", 0))) / np.array(o.get("Std", 1))).astype(dtype)
            a = a[None] if o.get("Layout") == "nhwc" else a.transpose(2, 0, 1)[None]
            c |= {"shape": a.shape, "sha256": hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()}
        cases.append(c)

    names = ["rgb rgba la gray bits palette pixel gray2 gray4 gray16 gray16-transparent rgb16 rgb16-transparent la16 rgba16 "
             "palette-transparent".replace(" ", ".png ") + ".png",
             "lossy lossy-tall lossy-alpha lossless lossless-alpha".replace(" ", ".webp ") + ".webp",
             "444 422 420 narrow progressive gray cmyk turned".replace(" ", ".jpeg ") + ".jpeg"]
    for file in " ".join(names).split():
        case(file, Layout="nhwc")
        case(file, Color="gray", Layout="nhwc")
    for file in ("rgb.png", "tall.png"):
        for f in FILTERS:
            for size in ([10, 16], [60, 50], [23, 9], [50, 37], [3, 70], [1, 1]):
                case(file, Filter=f, Size=size, Layout="nchw")
    for size in ([20, 20], [16, 31], [31, 16]):
        for file in ("rgb.png", "tall.png"):
            case(file, Resize="crop", Size=size, Layout="nhwc")
            case(file, Resize="crop", ResizeTo=36, Size=size, Filter="bicubic", Layout="nchw")
            case(file, Resize="pad", Pad=114, Size=size, Layout="nhwc")
            case(file, Resize="pad", Size=size, Color="gray", Filter="lanczos", Layout="nchw")
    imagenet = {"Mean": [0.485, 0.456, 0.406], "Std": [0.229, 0.224, 0.225]}
    case("rgb.png", "float32", Size=[12, 12], Layout="nchw", **imagenet)
    case("rgb.png", "float32", Size=[12, 12], Layout="nhwc", Color="bgr", Scale=1, Mean=[103.939, 116.779, 123.68])
    case("rgb.png", "float16", Size=[12, 12], Layout="nchw", **imagenet)
    case("rgb.png", "float64", Size=[12, 12], Layout="nhwc", Scale=1 / 127.5, Mean=[1])
    case("gray.png", "float32", Size=[12, 12], Layout="nchw")
    case("420.jpeg", Size=[12, 12], Layout="nhwc")
    case("420.jpeg", Size=[12, 12], Layout="nhwc", Resize="crop", Filter="bicubic")
    with open("cases.json", "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


main()
