import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.*;
import java.util.HexFormat;

/** Signs each line of standard input: {@code Soak CONFIGURATION PIN-FILE}. */
public class Soak {
    public static void main(String[] arguments) throws Exception {
        Provider hem = Security.getProvider("SunPKCS11").configure(arguments[0]);
        Security.addProvider(hem);
        char[] pin = Files.readString(Path.of(arguments[1])).strip().toCharArray();
        KeyStore keys = KeyStore.getInstance("PKCS11", hem);
        keys.load(null, pin);
        PrivateKey key = (PrivateKey) keys.getKey("java", pin);
        PublicKey known = keys.getCertificate("java").getPublicKey();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            System.out.println(answer(hem, key, known, line.getBytes(StandardCharsets.UTF_8)));
            System.out.flush();
        }
    }

    private static String answer(Provider hem, PrivateKey key, PublicKey known, byte[] message) {
        try {
            Signature signs = Signature.getInstance("SHA256withECDSA", hem);
            signs.initSign(key);
            signs.update(message);
            byte[] signature = signs.sign();
            Signature checks = Signature.getInstance("SHA256withECDSA", "SunEC");
            checks.initVerify(known);
            checks.update(message);
            return checks.verify(signature) ? "signature " + HexFormat.of().formatHex(signature) : "wrong";
        } catch (Exception error) {
            StringBuilder said = new StringBuilder("error");
            for (Throwable each = error; each != null; each = each.getCause()) said.append(' ').append(each);
            return said.toString().replace('\n', ' ');
        }
    }
}
