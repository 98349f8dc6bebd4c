package dev.d8.spi;

/**
 * Who asks a slave for something, as far as its transport knows.
 *
 * @param name the subject of the certificate that it showed, else the name of its token's {@link dev.d8.Grant}
 * @param address the machine that it calls from, such as {@code 10.0.0.7}; empty where the transport has no such thing
 */
public record Caller(String name, String address) {

    @Override
    public String toString() {
        return address.isEmpty() ? name : name + " at " + address;
    }
}
