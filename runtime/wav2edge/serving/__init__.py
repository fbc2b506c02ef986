"""The server: bundles behind HTTP and WebSockets, in the shape of OpenAI's API. It needs the extra ``serve``."""
