package caribou;

import java.util.Random;
import org.bytedeco.caffe.FloatBlob;
import org.bytedeco.caffe.FloatBlobSharedVector;
import org.bytedeco.caffe.FloatNet;

/** Fills the weights of a network with random numbers that a trained network could have. */
final class Filler {
    /** What BatchNorm's statistics are divided by: not 1, so that a reader that forgets it is wrong. */
    private static final float SCALE_FACTOR = 1.75f;

    private final Random random;

    Filler(long seed) {
        random = new Random(seed);
    }

    void fill(FloatNet net) {
        for (int layer = 0; layer < net.layers().size(); layer++) {
            FloatBlobSharedVector blobs = net.layers().get(layer).blobs();
            String type = net.layers().get(layer).type().getString();
            for (int i = 0; i < blobs.size(); i++) {
                fill(type, i, blobs.get(i));
            }
        }
    }

    private void fill(String type, int index, FloatBlob blob) {
        boolean weights = index == 0;
        switch (type) {
            case "BatchNorm" -> {
                switch (index) {
                    case 0 -> uniform(blob, -0.5f * SCALE_FACTOR, 0.5f * SCALE_FACTOR);
                    case 1 -> uniform(blob, 0.4f * SCALE_FACTOR, 1.6f * SCALE_FACTOR);
                    default -> uniform(blob, SCALE_FACTOR, SCALE_FACTOR);
                }
            }
            case "Scale" -> uniform(blob, weights ? 0.4f : -0.5f, weights ? 1.6f : 0.5f);
            case "PReLU" -> uniform(blob, -0.1f, 0.6f);
            case "Bias", "Parameter", "Embed" -> uniform(blob, -1, 1);
            default -> {
                if (blob.num_axes() < 2) {
                    uniform(blob, -0.3f, 0.3f);
                } else {
                    float bound = (float) Math.sqrt(3.0 / (blob.count() / blob.shape(0)));
                    uniform(blob, -bound, bound);
                }
            }
        }
    }

    private void uniform(FloatBlob blob, float low, float high) {
        float[] values = new float[blob.count()];
        for (int i = 0; i < values.length; i++) {
            values[i] = low + (high - low) * random.nextFloat();
        }
        blob.mutable_cpu_data().put(values);
    }
}
