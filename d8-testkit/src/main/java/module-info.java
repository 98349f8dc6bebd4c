/** Contracts and fakes for those who write plugins. Start with {@link dev.d8.testkit}. */
module dev.d8.testkit {
    requires static transitive org.jspecify;
    requires transitive dev.d8.core;
    requires transitive org.junit.jupiter.api;
    requires transitive org.assertj.core;

    exports dev.d8.testkit;
}
