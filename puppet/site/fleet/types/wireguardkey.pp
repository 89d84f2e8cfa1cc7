# @summary A WireGuard key as wg(8) prints it: 32 bytes in base64.
type Fleet::WireguardKey = Pattern[/\A[A-Za-z0-9+\/]{43}=\z/]
