"""WebSockets as a source: a server that we call (`wss://...`), or producers that call us.

As a client the collector takes what a server sends, with certificate verification, a bearer token,
reconnects with growing random waits, and the server's own resume parameter where it has one.  What such
a server sends while nobody listens is lost; `client` says so in full.

As a listener the collector takes frames from producers that hold a token, and acknowledges each frame
after its messages are stored; `listener` says what a producer may rely on.  `opening` opens either from
an address and the environment; the library `websockets` is imported there and only there.
"""
