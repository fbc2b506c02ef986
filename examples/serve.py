"""An HTTP service in twenty lines.

POST the bytes of an audio file, get the result as JSON:

    pip install fastapi uvicorn
    BUNDLE=models/words uvicorn --app-dir examples serve:app
    curl --data-binary @models/clips/fu-dan-3.flac localhost:8000/recognize
"""

import io
import os
import sys

from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

import wav2edge

app = FastAPI(title="wav2edge")
bundle = os.environ.get("BUNDLE") or sys.exit("usage: BUNDLE=FOLDER uvicorn --app-dir examples serve:app")
engine = wav2edge.load(bundle)  # one engine for all threads


@app.post("/recognize")
async def recognize(request: Request) -> dict:
    """One clip in, its result out; 422 and the reason where the clip cannot be used."""
    content = io.BytesIO(await request.body())
    try:
        return (await run_in_threadpool(engine, content)).to_dict()
    except wav2edge.AudioError as error:
        raise HTTPException(status_code=422, detail=str(error)) from None
