"""Formats of images: which are read, by Pillow's names, and how their files end."""

from PIL import features

ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
}
"""Endings in small letters, by format."""
FEATURES = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}
"""What Pillow reads only where it was built with a library for it, as its wheels are."""
FORMATS = tuple(name for name in ENDINGS if name not in FEATURES or features.check(FEATURES[name]))
"""What is decoded."""
EXTENSIONS = {ending for name in FORMATS for ending in ENDINGS[name]}
"""How names of such files end."""
NOT_READ = {
    ".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif", ".jxl", ".jxr", ".wdp", ".hdp",
    ".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc", ".jpm", ".jph", ".mpo", ".jps", ".insp",
    ".3fr", ".ari", ".arw", ".bay", ".cap", ".cr2", ".cr3", ".crw", ".dcr", ".dcs", ".dng", ".drf", ".eip", ".erf",
    ".fff", ".gpr", ".iiq", ".k25", ".kdc", ".mdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".ptx",
    ".r3d", ".raf", ".raw", ".rw2", ".rwl", ".rwz", ".sr2", ".srf", ".srw", ".x3f",
    ".czi", ".dcm", ".dicom", ".ima", ".lif", ".lsm", ".mrxs", ".nd2", ".ndpi", ".nii", ".nrrd", ".oib", ".oif",
    ".scn", ".svs", ".vsi", ".zvi",
    ".ai", ".cdr", ".djvu", ".eps", ".pdf", ".ps", ".psb", ".psd", ".svg", ".svgz", ".wmf", ".emf", ".xcf",
    ".cur", ".dds", ".exr", ".fits", ".fit", ".hdr", ".icns", ".ico", ".jbig2", ".pcx", ".pfm", ".pict", ".qoi",
    ".ras", ".rgb", ".sgi", ".tga", ".xbm", ".xpm",
    ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm", ".wmv",
    ".7z", ".gz", ".rar", ".tar", ".tgz", ".zip",
}  # fmt: skip
"""Endings of files that may be or hold images somebody counts on: photographs, microscopes' and scanners' images,
drawings, films, archives. Those of :data:`EXTENSIONS` are read all the same."""
