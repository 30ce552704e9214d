"""Run by gooseBit's own Python: an empty database, one image in it, and the server."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any


async def serve(image: Path, port: int) -> None:
    """Serve the image to the device ``bench``, until ended."""
    import uvicorn
    from goosebit import app
    from goosebit.db import config
    from goosebit.db.models import Device, Hardware, Software, UpdateModeEnum
    from tortoise import Tortoise

    settings: dict[str, Any] = config.TORTOISE_CONF
    await Tortoise.init(config=settings)
    await Tortoise.generate_schemas()
    software = await Software.create(
        id=1, uri=image.as_uri(), size=image.stat().st_size, hash="unused", version="1"
    )
    hardware = await Hardware.create(model="bench", revision="1")
    await software.compatibility.add(hardware)
    await Device.create(
        id="bench",
        hardware=hardware,
        assigned_software=software,
        update_mode=UpdateModeEnum.ASSIGNED,
    )
    await Tortoise.close_connections()
    options = uvicorn.Config(
        app, host="127.0.0.1", port=port, access_log=False, log_level="warning"
    )
    await uvicorn.Server(options).serve()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]).resolve(), int(sys.argv[2])))
